"""The strategy `sentences`: whole sentences, as many as fit."""

from collections.abc import Iterator, Sequence

from ragstore.collection.schemas import Chunking
from ragstore.embedding.tokens import count_tokens
from ragstore.ingestion.chunking.sentences import find_sentences
from ragstore.ingestion.chunking.windows import Piece, cut_by_tokens

Sentence = tuple[int, int, int]  # start, end, tokens


def cut_by_sentences(texts: Sequence[str], chunking: Chunking) -> list[list[Piece]]:
    """A piece begins with the last sentences of the one before, as many as the overlap allows. A sentence longer than
    a piece is cut by tokens.
    """
    return [list(cut_one(text, chunking)) for text in texts]


def cut_one(text: str, chunking: Chunking) -> Iterator[Piece]:
    spans = list(find_sentences(text))
    counts = count_tokens([text[start:end] for start, end in spans])
    run: list[Sentence] = []
    for (start, end), tokens in zip(spans, counts, strict=True):
        if tokens <= chunking.size:
            run.append((start, end, tokens))
            continue
        yield from pack(text, run, chunking)
        run = []
        (pieces,) = cut_by_tokens([text[start:end]], chunking)
        yield from ((start + offset, piece) for offset, piece in pieces)
    yield from pack(text, run, chunking)


def pack(text: str, run: Sequence[Sentence], chunking: Chunking) -> Iterator[Piece]:
    """Each of the run is short enough to be a piece alone."""
    first, new = 0, 0  # of a piece: its first sentence, and the first that is in no piece before
    while new < len(run):
        last = fill(text, run, first, new, chunking.size)
        if last <= new:  # with what overlaps there is no room for anything new
            first += 1
            continue
        yield run[first][0], text[run[first][0] : run[last - 1][1]]
        first = max(step_back(text, run, last, chunking.overlap), first + 1)
        new = last


def fill(text: str, run: Sequence[Sentence], first: int, new: int, size: int) -> int:
    """The end of the sentences from `first` on that fit. What they count alone is near what they count together."""
    total, last = 0, first
    while last < len(run) and total + run[last][2] <= size:
        total += run[last][2]
        last += 1
    while last > max(new, first + 1) and count_between(text, run, first, last) > size:
        last -= 1
    return last


def step_back(text: str, run: Sequence[Sentence], last: int, overlap: int) -> int:
    """The first of the sentences before `last` that the next piece begins with."""
    total, first = 0, last
    while first > 0 and total + run[first - 1][2] <= overlap:
        first -= 1
        total += run[first][2]
    while first < last and count_between(text, run, first, last) > overlap:
        first += 1
    return first


def count_between(text: str, run: Sequence[Sentence], first: int, last: int) -> int:
    return count_tokens([text[run[first][0] : run[last - 1][1]]])[0]
