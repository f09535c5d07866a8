import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstore.ingestion.chunking.sentences import find_sentences


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in find_sentences(text)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["Cats sleep.", "Dogs bark!", "Do fish swim?", "Yes."],
        ["Dr. Smith met Mrs. Jones at 5 p.m. on Jan. 3.", "They talked."],
        ["J. R. R. Tolkien wrote it, see Fig. 3 and pp. 5-9.", "It sold."],
        ["Pi is 3.14 and e is 2.718.", "Both are irrational."],
        ["He waited... and waited.", "Then... nothing.", "It was over…", "Or was it?"],
        ['"Really?" she asked.', '"Yes!"', "He left (at last).", "She stayed."],
        ["Visit example.com/a.b?c=d today.", "Use v1.2.3 of node.js."],
        ["He said no.", "Then he left."],
        ["Am 3. Oktober kam z.B. Herr Dr. Müller.", "Er blieb bis 1999.", "Dann ging er."],
        ["M. Dupont, p.ex. celui d'ici, rit.", "« Oui ! »", "Il part."],
        ["¿Qué es?", "¡Nada!", "La Sra. García vive aquí."],
        ["Сначала он пришёл.", "Потом ушёл."],
        ["هل أنت هنا؟", "نعم.", "ذهب۔", "انتهى."],
        ["यह एक है।", "वह दो है॥"],
        ["They cost $5.", "2024 was better, etc. and so on, etc.", "The end."],
    ],
)
def test_sentences_end_where_they_should(sentences: list[str]) -> None:
    assert split(" ".join(sentences)) == sentences


def test_scripts_without_spaces_end_sentences_too() -> None:
    assert split("今日は雨です。明日は晴れ！本当？はい。") == ["今日は雨です。", "明日は晴れ！", "本当？", "はい。"]
    assert split("「はい。」と彼は言った。次へ。") == ["「はい。」と彼は言った。", "次へ。"]
    assert split("约３．１４米。是的。") == ["约３．１４米。", "是的。"]


def test_headings_and_items_of_lists_end_without_a_full_stop() -> None:
    parts = ["No full stop", "- one", "- two (see p. 5).", "1. Three", "## Four ##", "Text under\nit.", "| a | b |"]
    assert split("\n".join(parts)) == parts


def test_an_empty_line_ends_a_sentence_and_a_line_does_not() -> None:
    assert split("one\ntwo\n \nthree\r\n\r\nfour") == ["one\ntwo", "three", "four"]


def test_a_mark_stays_with_what_it_marks() -> None:
    assert split("a。\u0301 b.") == ["a。\u0301 b."]


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("Aa1 .!?。」\"'\n\t)#-…\u200d\u0301é日"), max_size=80))
def test_every_character_that_is_not_white_space_is_in_one_sentence(text: str) -> None:
    spans = list(find_sentences(text))
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(spans))
    assert all(text[start:end].strip() == text[start:end] != "" for start, end in spans)
    inside = {index for start, end in spans for index in range(start, end)}
    assert all(character.isspace() for index, character in enumerate(text) if index not in inside)
