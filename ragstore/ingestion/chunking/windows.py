"""The strategy `tokens`: pieces as long as fit, that end at the largest boundary they reach."""

from collections.abc import Sequence
from functools import lru_cache

from semantic_text_splitter import TextSplitter

from ragstore.collection.schemas import Chunking
from ragstore.embedding.tokens import count_tokens

# Characters of a long text the splitter is shown at once, for each token of a passage. Its time grows with the square
# of what it is shown; four characters a token is common, so this is room for several passages.
WINDOW = 16

Piece = tuple[int, str]


@lru_cache(maxsize=32)
def make_splitter(size: int, overlap: int) -> TextSplitter:
    return TextSplitter.from_callback(count_one, size, overlap=overlap)


def count_one(text: str) -> int:
    """What the splitter would count itself with the tokenizer, in a quarter of the time."""
    return count_tokens([text])[0]


def cut_by_tokens(texts: Sequence[str], chunking: Chunking) -> list[list[Piece]]:
    """Pieces end at a paragraph, or else a line, a sentence, a word, a character."""
    return cut_in_windows(texts, make_splitter(chunking.size, chunking.overlap), WINDOW * chunking.size)


def cut_in_windows(texts: Sequence[str], splitter: TextSplitter, window: int) -> list[list[Piece]]:
    """The pieces of each text. A window's last piece was cut short by the window, so the next window begins with it."""
    cut: list[list[Piece]] = [[] for _ in texts]
    for index, text in enumerate(texts):
        start, last = 0, not text
        while not last:
            last = start + window >= len(text)
            pieces = splitter.chunk_indices(text[start : start + window])
            kept = pieces if last or len(pieces) < 2 else pieces[:-1]
            cut[index] += [(start + offset, piece) for offset, piece in kept]
            start += pieces[-1][0] if len(pieces) > 1 else window
    return cut
