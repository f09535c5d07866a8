import unicodedata
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragstore.collection.schemas import Language
from ragstore.errors import Unprocessable
from ragstore.lexical.analysis import LONGEST_TERM, MOST_KNOWN_TOKENS, Analyzer, get_analyzer
from ragstore.lexical.normalizing import fold_accents, fold_case, fold_case_with_offsets

PIECES = st.sampled_from([
    "word ", "it's ", "don’t", "U.S. ", "3.14", "10,000 ", "naïve ", "ﬁ", "½", "İ", "ß", "J\u030c", "ǰ", "\u0345",
    "a\u0301\u0327", "日本語", "カ\uff9e", "ｶﾞ", "ประเทศไทย ", "हिन्दी ", "한국어 ", "\u1112\u1161\u11ab",
    "\u00ad", "\u200d", "\ufe0f", "🐈‍⬛", "\ufdfa", "مُحَمَّد ", "שָׁלוֹם ",
    "٣", "\0", "_", "-", "’", ".", "\ud800", "Ω\u0301", "\u0301" * 40, " ",
])  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=30).map("".join))


def english(text: str) -> list[str]:
    return get_analyzer("english").terms(text)


def unstemmed(text: str) -> list[str]:
    return get_analyzer("simple").terms(text)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, language=st.sampled_from(["simple", "english", "turkish", "hindi", "yiddish"]))
@example(text="ßJ\u030c x", language="simple")
def test_terms_and_words_say_the_same_and_every_word_has_a_place_in_the_text(text: str, language: str) -> None:
    analyzer = get_analyzer(language)
    words = analyzer.words(text)
    assert [word.term for word in words] == analyzer.terms(text)
    assert all(0 <= word.start < word.end <= len(text) for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert all(0 < len(word.term) <= LONGEST_TERM for word in words)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
def test_folding_piece_by_piece_equals_folding_the_whole(text: str) -> None:
    folded, starts, ends = fold_case_with_offsets(text)
    assert folded == fold_case(text)
    assert len(starts) == len(ends) in {0, len(folded)}


def test_no_character_composes_across_the_pieces() -> None:
    for code in range(0x80, 0x20000):
        character = chr(code)
        if unicodedata.category(character)[0] in "CZ":
            continue
        for before in ("e", "\u1100", "\uac00", "か", "ｶ", "ば", "α"):
            text = f"ﬁ{before}{character}"
            assert fold_case_with_offsets(text)[0] == fold_case(text), hex(code)


def test_a_text_keeps_the_places_of_its_words_where_folding_changes_lengths() -> None:
    text = "ﬁne Straße İzmir ½ e\u0301t\u00adé ㎏ end"
    assert [(word.term, text[word.start : word.end]) for word in get_analyzer("simple").words(text)] == [
        ("fine", "ﬁne"), ("strasse", "Straße"), ("izmir", "İzmir"), ("1", "½"), ("2", "½"),
        ("ete", "e\u0301t\u00adé"), ("kg", "㎏"), ("end", "end"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("It's the dog's; don't, we’ll.", ["it", "the", "dog", "dont", "we"]),
        ("l'eau d’or O'Brien", ["l", "eau", "d", "or", "o", "brien"]),
        ("the U.S. and e.g. J.R.R. Tolkien", ["the", "us", "and", "eg", "jrr", "tolkien"]),
        ("3.14 10,000 1.2.3 v2.0 the 1990's", ["3.14", "10000", "1.2.3", "v2.0", "the", "1990"]),
        ("foo_bar COVID-19 TNF-alpha", ["foo", "bar", "covid", "19", "tnf", "alpha"]),
        ("One.Two end.", ["one", "two", "end"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("H₂O ２０２４ ٢٠٢٤ २०२४", ["h2o", "2024", "2024", "2024"]),
        ("Beyoncé Beyonce\u0301 Ærø Łódź ΑΘΉΝΑ", ["beyonce", "beyonce", "aero", "lodz", "αθηνα"]),
        ("مُحَمَّد محمد", ["محمد", "محمد"]),
        ("й ё", ["й", "ё"]),
        ("", []),
        ("… \0 -- !!! _ 🐈", []),
    ],
)
def test_words_of_scripts_with_spaces(text: str, terms: list[str]) -> None:
    assert unstemmed(text) == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("日本の", ["日", "日本", "本", "本の"]),
        ("水", ["水"]),
        ("テスト", ["テス", "スト"]),
        ("か", ["か"]),
        ("ที่นี่", ["ที่นี่"]),
        ("ภาษาไทย", ["ภา", "าษ", "ษา", "าไ", "ไท", "ทย"]),
        ("한국어를", ["한국", "국어", "어를"]),
        ("AI技術 v2", ["ai", "技", "技術", "術", "v2"]),
    ],
)
@pytest.mark.parametrize("language", ["english", "simple", "russian"])
def test_scripts_without_spaces_are_cut_in_pairs_whatever_the_language(
    text: str, terms: list[str], language: str
) -> None:
    assert get_analyzer(language).terms(text) == terms


def test_a_part_of_a_run_is_found_as_a_phrase_of_the_whole() -> None:
    whole = unstemmed("新しい日本語の技術")
    for part in ("日本語", "い日本", "しい", "の技術", "技"):
        terms = unstemmed(part)
        assert any(whole[at : at + len(terms)] == terms for at in range(len(whole)))


@pytest.mark.parametrize("language", get_args(Language))
def test_every_language_of_a_collection_has_an_analyzer(language: str) -> None:
    analyzer = get_analyzer(language)
    assert analyzer is get_analyzer(language)
    assert analyzer.terms("Hello 世界") == [analyzer.known["hello"], "世", "世界", "界"]


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("english", "running", "runs"),
        ("german", "Häuser", "Haus"),
        ("spanish", "canciones", "canción"),
        ("russian", "книги", "книга"),
        ("hindi", "लड़कों", "लड़का"),
        ("arabic", "الكتاب", "كتاب"),
        ("greek", "σκύλος", "ΣΚΎΛΟΙ"),
        ("serbian", "књига", "knjige"),
    ],
)
def test_forms_of_a_word_are_one_term_in_its_language_alone(language: str, one: str, other: str) -> None:
    assert get_analyzer(language).terms(one) == get_analyzer(language).terms(other)
    assert unstemmed(one) != unstemmed(other)


def test_words_of_another_script_are_not_stemmed() -> None:
    assert get_analyzer("russian").terms("running книги")[0] == "running"
    assert english("книги") == ["книги"]


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(Unprocessable, match="klingon"):
        get_analyzer("klingon")


def test_stop_words_keep_their_positions_and_do_not_count_in_the_length() -> None:
    analyzer = get_analyzer("english")
    terms = analyzer.terms("What is the speed of light?")
    assert terms == ["what", "is", "the", "speed", "of", "light"]
    assert analyzer.count_scored(terms) == 2
    assert get_analyzer("simple").count_scored(terms) == 6
    assert "für" not in get_analyzer("german").stop_terms
    assert {"fur", "der"} <= get_analyzer("german").stop_terms


@pytest.mark.parametrize(
    "text",
    ["a" * 10**6, "a" + "\u0301\u0327" * 300_000, "का" * 300_000, "a\u200d" * 300_000, "漢" + "\u0301" * 10**6],
    ids=["letters", "marks of two classes", "Hindi", "joiners", "marks on Han"],
)
def test_a_word_without_end_is_cut(text: str) -> None:
    (term,) = unstemmed(text)
    assert len(term) <= LONGEST_TERM
    assert len(get_analyzer("simple").words(text)) == 1


def test_the_known_tokens_are_bounded() -> None:
    analyzer = Analyzer("simple")
    analyzer.terms(" ".join(f"w{number}" for number in range(MOST_KNOWN_TOKENS + 10)) + " " + "x" * 100)
    assert len(analyzer.known) == 10


def test_a_term_of_nothing_but_optional_signs_stays() -> None:
    assert fold_accents("ـــ") == "ـــ"
