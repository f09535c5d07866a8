import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstore.chat.answers.citing import CitationReader
from ragstore.chat.answers.schemas import Passage


def make_passages(count: int) -> list[Passage]:
    return [
        Passage(n, "docs", uuid.uuid4(), f"k{n}", uuid.uuid4(), 1.0, "text", None, None, None, {}, 0, 0, 4)
        for n in range(1, count + 1)
    ]


def read(text: str, sizes: list[int] | None = None, count: int = 5) -> tuple[list[int], list[int]]:
    """Cited and unknown numbers of a text that comes in pieces of these sizes."""
    reader = CitationReader(make_passages(count))
    told = []
    place = 0
    for size in [*(sizes or []), len(text)]:
        told += [one.number for one in reader.read(text[place : place + size])]
        place += size
    assert told == reader.cited == [one.number for one in reader.list()]
    return reader.cited, reader.unknown


@pytest.mark.parametrize(
    ("text", "cited", "unknown"),
    [
        ("It is so [1]. And so [3][2].", [1, 3, 2], []),
        ("Both [1, 2] and [4;5].", [1, 2, 4, 5], []),
        ("All [2-4] and [1–2].", [2, 3, 4, 1], []),
        ("Again [1] and [1].", [1], []),
        ("Not there [9], [0] and [1].", [1], [9, 0]),
        ("【2】 and [ 3 ]", [2, 3], []),
        ("a[i], [link](x), [see 1], [1.5], [12345]", [], []),
        ("An endless [" + "1 " * 500, [], []),
        ("[1-4000]", [1], [4000]),
    ],
)
def test_numbers_in_brackets_are_citations(text: str, cited: list[int], unknown: list[int]) -> None:
    assert read(text) == (cited, unknown)


@given(st.lists(st.integers(1, 7), max_size=60))
def test_a_citation_is_found_wherever_the_text_is_cut(sizes: list[int]) -> None:
    text = "One [1], two [2, 3] and [12] then [4-5]. Last 【1】."
    assert read(text, sizes) == ([1, 2, 3, 4, 5], [12])
