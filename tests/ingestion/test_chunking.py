import itertools
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semantic_text_splitter import TextSplitter

from ragstore.collection.schemas import Chunking
from ragstore.ingestion.chunking import WINDOW, cut_in_windows, make_splitter, split_texts

SMALL = Chunking(size=16, overlap=4)
PIECES = st.sampled_from(["word ", "naïve ", "日本語", "🐈‍⬛ ", "\n\n", ". ", "\t", "x" * 40, "é", "ก็", " "])


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.lists(PIECES, max_size=60).map("".join), max_size=4))
def test_every_passage_is_cut_out_of_its_text_and_none_is_too_long(texts: list[str]) -> None:
    cut = split_texts(texts, SMALL)
    assert len(cut) == len(texts)
    for text, passages in zip(texts, cut, strict=True):
        covered: set[int] = set()
        for passage in passages:
            assert text[passage.start : passage.end] == passage.content == passage.content.strip()
            assert 0 < passage.token_count <= SMALL.size
            covered.update(range(passage.start, passage.end))
        left = "".join(character for index, character in enumerate(text) if index not in covered)
        assert left.strip() == "" or not left.isprintable()
        assert [one.start for one in passages] == sorted(one.start for one in passages)


def test_a_short_text_is_one_passage_without_the_white_space_around_it() -> None:
    ((passage,),) = split_texts(["  hello world\n"], Chunking())
    assert (passage.content, passage.start, passage.end) == ("hello world", 2, 13)


@pytest.mark.parametrize("text", ["a" * 300_000, "🐈" * 50_000, "word " * 60_000], ids=["one word", "emoji", "words"])
def test_a_text_without_end_is_cut_in_bounded_time(text: str) -> None:
    (passages,) = split_texts([text], Chunking())
    assert all(one.token_count <= 512 for one in passages)
    assert sum(len(one.content) for one in passages) >= len(text.replace(" ", "")) * 0.9


def test_passages_overlap_by_no_more_than_asked() -> None:
    text = " ".join(f"w{number}" for number in range(200))
    (passages,) = split_texts([text], Chunking(size=64, overlap=16))
    shared = [max(0, one.end - two.start) for one, two in itertools.pairwise(passages)]
    assert any(shared)
    (apart,) = split_texts([text], Chunking(size=64, overlap=0))
    assert all(one.end <= two.start for one, two in itertools.pairwise(apart))


@pytest.mark.parametrize("letters", ["日本語の文章です", "a", "e\u0301"], ids=["Japanese", "one letter", "combining"])
def test_the_time_of_cutting_grows_with_the_text_and_not_with_its_square(letters: str) -> None:
    """Counted, not timed: what the splitter is shown at once never grows."""
    shown: list[int] = []

    class Watched:
        def __init__(self) -> None:
            self.splitter = make_splitter(64, 8)

        def chunk_indices(self, window: str) -> list[tuple[int, str]]:
            shown.append(len(window))
            return self.splitter.chunk_indices(window)

    text = letters * (40_000 // len(letters))
    (pieces,) = cut_in_windows([text], cast(TextSplitter, Watched()), WINDOW * 64)
    assert max(shown) <= WINDOW * 64
    assert sum(shown) < 3 * len(text)
    assert all(text[start : start + len(piece)] == piece for start, piece in pieces)
