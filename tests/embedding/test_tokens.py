import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ragstore.embedding.tokens import TOKENIZER_FILE, count_tokens, encode_texts, load_tokenizer, wordllama_file
from ragstore.embedding.words import LONGEST_WORD, KnownWords
from ragstore.errors import ConfigurationError

plain = Tokenizer.from_file(str(wordllama_file(TOKENIZER_FILE)))


def test_counts_are_exact_and_in_order() -> None:
    long = "The quick brown fox jumps over the lazy dog. " * 400
    assert count_tokens([]) == []
    assert count_tokens(["hello world", "", long, "日本語"]) == [2, 0, len(plain.encode(long)) - 1, 4]


def test_counting_neither_pads_nor_truncates_nor_leaves_traces() -> None:
    count_tokens(["a", "much longer than that " * 3000])
    assert load_tokenizer().padding is None
    assert load_tokenizer().truncation is None
    assert count_tokens(["a"]) == [1]


def test_no_token_crosses_the_start_of_a_word() -> None:
    """What makes cutting at words exact."""
    vocabulary = json.loads(wordllama_file(TOKENIZER_FILE).read_text())["model"]["vocab"]
    assert not [token for token in vocabulary if "▁" in token.lstrip("▁")]


@settings(max_examples=300, deadline=None)
@given(st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(" ▁\n\tae<s>🙂")), max_size=60))
def test_cutting_at_words_changes_no_token(text: str) -> None:
    expected = plain.encode(text, add_special_tokens=False).ids
    assert load_tokenizer().encode(text, add_special_tokens=False).ids == expected


WORDS = st.sampled_from(
    ["a", "Über", "x" * LONGEST_WORD, "日本語" * 20, "a\n\nb", "▁", " ", "<s>", "</s>", "🙂", "don't"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.one_of(WORDS, st.sampled_from(" \n\tbc")), max_size=12).map("".join), max_size=4))
def test_known_words_have_the_tokens_of_the_tokenizer(texts: list[str]) -> None:
    expected = [plain.encode(text, add_special_tokens=False).ids for text in texts]
    assert [ids.tolist() for ids in encode_texts(texts)] == expected
    assert [ids.tolist() for ids in encode_texts(texts)] == expected  # of words it has seen


def test_words_are_forgotten_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragstore.embedding.words.MOST_WORDS", 50)
    words = KnownWords(load_tokenizer())
    for start in range(0, 400, 40):
        text = " ".join(f"w{number}" for number in range(start, start + 40))
        (ids,) = words.encode([text])
        assert ids.tolist() == plain.encode(text, add_special_tokens=False).ids
        assert len(words.known) <= 50
    text = " ".join(f"v{number}" for number in range(100))
    assert words.encode([text])[0].tolist() == plain.encode(text, add_special_tokens=False).ids
    assert len(words.known) <= 50
    words.encode(["y" * (LONGEST_WORD + 1)])
    assert "y" * (LONGEST_WORD + 1) not in words.known


def test_missing_file_is_named() -> None:
    with pytest.raises(ConfigurationError, match="lacks weights/none"):
        wordllama_file("weights/none")
