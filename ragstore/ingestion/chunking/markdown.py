"""The strategy `markdown`: pieces end at headings and blocks, and long code is cut at its lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from semantic_text_splitter import MarkdownSplitter

from ragstore.collection.schemas import Chunking
from ragstore.ingestion.chunking.windows import WINDOW, Piece, count_one, cut_by_tokens
from ragstore.ingestion.structure import find_fence_end, read_marks


@dataclass(frozen=True)
class Window:
    """A part of a text. The last piece of one that is not `closed` was cut short by it. No window begins within one
    of the `fences`.
    """

    end: int
    closed: bool
    fences: Sequence[tuple[int, int]] = ()
    plain: bool = False  # without structure but its lines: a long fence, a paragraph without end

    def is_cut_at(self, place: int) -> bool:
        return not self.closed and not any(start < place < end for start, end in self.fences)


@lru_cache(maxsize=32)
def make_splitter(size: int, overlap: int) -> MarkdownSplitter:
    return MarkdownSplitter.from_callback(count_one, size, overlap=overlap)


def cut_by_markdown(texts: Sequence[str], chunking: Chunking) -> list[list[Piece]]:
    """A piece is as many sections, or else blocks, lines, sentences, words, characters, as fit."""
    return [cut_one(text, chunking) for text in texts]


def cut_one(text: str, chunking: Chunking) -> list[Piece]:
    """The splitter is shown windows, for its time grows with the square of what it sees: one ends before a heading or
    a block, so that the splitter reads the next one right.
    """
    splitter = make_splitter(chunking.size, chunking.overlap)
    cut: list[Piece] = []
    start = 0
    while start < len(text):
        window = find_window(text, start, WINDOW * chunking.size)
        part = text[start : window.end]
        pieces = cut_by_tokens([part], chunking)[0] if window.plain else splitter.chunk_indices(part)
        begin = window.end
        if len(pieces) > 1 and window.is_cut_at(start + pieces[-1][0]):
            begin = start + pieces.pop()[0]
        cut += [strip(start + offset, piece) for offset, piece in pieces]
        start = begin
    return cut


def find_window(text: str, start: int, most: int) -> Window:
    """From `start` on, which is not within a fence: at most `most` characters, unless it is the code of one fence."""
    end = start + most
    if end >= len(text):
        return Window(len(text), closed=True)
    headings, blocks, fences = [start], [start], list[tuple[int, int]]()
    opened: int | None = None
    for mark in read_marks(text, start, end):
        if mark.kind == "fence":
            opened, fence = mark.start, mark.text
        elif mark.kind == "close" and opened is not None:
            fences.append((opened, mark.start))
            opened = None
        (headings if mark.kind == "heading" else blocks).append(mark.start)
    if opened == start:
        return Window(find_fence_end(text, start, fence), closed=True, plain=True)
    half = start + most // 2
    if headings[-1] > half:
        return Window(headings[-1], closed=True)
    last = max(headings[-1], blocks[-1])
    if last > start:
        return Window(last, last in (headings[-1], opened), fences)
    return Window(end, closed=False, plain=True)


def strip(start: int, piece: str) -> Piece:
    """The splitter keeps the white space that a block begins with."""
    return start + len(piece) - len(piece.lstrip()), piece.strip()
