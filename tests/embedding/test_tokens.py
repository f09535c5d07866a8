import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ragstore.embedding import tokens
from ragstore.embedding.tokens import (
    TOKENIZER_FILE,
    TokensByWord,
    count_tokens,
    find_tokens,
    load_tokenizer,
    wordllama_file,
)
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


def test_missing_file_is_named() -> None:
    with pytest.raises(ConfigurationError, match="lacks weights/none"):
        wordllama_file("weights/none")


@given(st.text(st.sampled_from("ab \n\t▁<s>/unk日é\U0001f600'."), max_size=60))
@settings(max_examples=300, deadline=None)
def test_tokens_found_word_by_word_are_the_tokenizers(text: str) -> None:
    wanted = plain.encode(text, add_special_tokens=False).ids
    assert find_tokens(text) == wanted
    assert count_tokens([text]) == [len(wanted)]


@pytest.mark.parametrize("text", ["<s> one </s>", "a<unk>b", "<s", "one  two ", "  ", "▁", "\x00", "x" * 5000])
def test_odd_texts_have_the_tokenizers_tokens(text: str) -> None:
    assert find_tokens(text) == plain.encode(text, add_special_tokens=False).ids


def test_words_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_KNOWN_WORDS", 3)
    known = TokensByWord()
    for word in ("one", "two", "three", "four", "x" * 33):
        assert known[word] == tuple(token.id for token in load_tokenizer().model.tokenize("▁" + word))
    assert list(known) == ["four"]
