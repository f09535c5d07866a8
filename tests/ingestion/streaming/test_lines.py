"""Bytes to lines, however the network cuts them."""

import random

import pytest

from ragstore.ingestion.streaming.lines import Line, LineSplitter

TEXT = b"\xef\xbb\xbfone\n\n" + "zwei\u2028drei\r".encode() + b"\n" + b"x" * 21 + b"\nfour\n" + b"y" * 20 + b"\nhalf"


def split(pieces: list[bytes], longest: int = 20) -> list[Line]:
    splitter = LineSplitter(longest)
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return lines + list(splitter.finish())


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_gives_the_same_lines(seed: int) -> None:
    chance = random.Random(seed)
    cuts = sorted(chance.choices(range(len(TEXT) + 1), k=chance.randrange(40)))
    pieces = [TEXT[start:end] for start, end in zip([0, *cuts], [*cuts, len(TEXT)], strict=True)]
    assert split(pieces) == [
        Line(1, b"one"),
        Line(2, b""),
        Line(3, "zwei\u2028drei\r".encode()),
        Line(4, None),
        Line(5, b"four"),
        Line(6, b"y" * 20),
        Line(7, b"half", ended=False),
    ]


def test_a_long_line_is_not_held() -> None:
    splitter = LineSplitter(1000)
    for _ in range(100):
        assert list(splitter.feed(b"x" * 999)) == []
        assert len(splitter._held) <= 1000
    assert list(splitter.feed(b"\n")) == [Line(1, None)]


def test_lines_left_out_are_counted() -> None:
    splitter = LineSplitter(100, after=7)
    assert [line.number for line in splitter.feed(b"a\nb\n")] == [8, 9]
