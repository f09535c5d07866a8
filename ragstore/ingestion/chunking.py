"""Text to passages with exact offsets. Pure; takes real time for long texts, so it runs in a thread."""

from collections.abc import Sequence
from functools import lru_cache

from semantic_text_splitter import TextSplitter

from ragstore.collection.schemas import Chunking
from ragstore.document.publishing import Passage
from ragstore.embedding.tokens import count_text, count_tokens

# Characters of a long text the splitter is shown at once, for each token of a passage. Its time grows with the square
# of what it is shown; four characters a token is common, so this is room for several passages.
WINDOW = 16

Piece = tuple[int, str]


@lru_cache(maxsize=32)
def make_splitter(size: int, overlap: int) -> TextSplitter:
    return TextSplitter.from_callback(count_text, size, overlap=overlap)


def split_texts(texts: Sequence[str], chunking: Chunking) -> list[list[Passage]]:
    """The passages of each text, in order, at most `chunking.size` tokens each.

    `start` and `end` are code points: `text[start:end] == content`. Passages end at the largest boundary that
    fits (paragraph, line, sentence, word, character) and carry no white space at their ends. Takes time in proportion
    to the length of the texts.
    """
    counts = count_tokens(texts)
    long = [text for text, tokens in zip(texts, counts, strict=True) if tokens > chunking.size]
    cut = iter(split_long(long, chunking) if long else [])
    return [
        next(cut) if tokens > chunking.size else keep_whole(text, tokens)
        for text, tokens in zip(texts, counts, strict=True)
    ]


def split_long(texts: Sequence[str], chunking: Chunking) -> list[list[Passage]]:
    cut = cut_in_windows(texts, make_splitter(chunking.size, chunking.overlap), WINDOW * chunking.size)
    # Python takes a few more characters for white space than the splitter: such a piece says nothing.
    kept = [[(start, piece) for start, piece in pieces if piece.strip()] for pieces in cut]
    counts = iter(count_tokens([piece for pieces in kept for _, piece in pieces]))
    return [[Passage(piece, start, start + len(piece), next(counts)) for start, piece in pieces] for pieces in kept]


def cut_in_windows(texts: Sequence[str], splitter: TextSplitter, window: int) -> list[list[Piece]]:
    """The pieces of each text. A window's last piece was cut short by the window, so the next window begins with it."""
    cut: list[list[Piece]] = [[] for _ in texts]
    positions = dict.fromkeys(range(len(texts)), 0)
    while positions:
        order = list(positions)
        windows = [texts[index][positions[index] : positions[index] + window] for index in order]
        for index, pieces in zip(order, map(splitter.chunk_indices, windows), strict=True):
            offset = positions.pop(index)
            last = offset + window >= len(texts[index])
            keep = pieces if last or len(pieces) < 2 else pieces[:-1]
            cut[index] += [(offset + start, piece) for start, piece in keep]
            if not last:
                positions[index] = offset + (pieces[-1][0] if len(pieces) > 1 else window)
    return cut


def keep_whole(text: str, tokens: int) -> list[Passage]:
    content = text.strip()
    start = len(text) - len(text.lstrip())
    return [Passage(content, start, start + len(content), tokens)] if content else []
