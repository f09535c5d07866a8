"""Text to passages with exact offsets. Pure; takes real time for long texts, so it runs in a thread."""

from collections.abc import Sequence
from functools import lru_cache

from semantic_text_splitter import TextSplitter

from ragstore.collection.schemas import Chunking
from ragstore.document.publishing import Passage
from ragstore.embedding.tokens import count_tokens, load_tokenizer


@lru_cache(maxsize=32)
def make_splitter(size: int, overlap: int) -> TextSplitter:
    return TextSplitter.from_huggingface_tokenizer(load_tokenizer(), size, overlap=overlap)


def split_texts(texts: Sequence[str], chunking: Chunking) -> list[list[Passage]]:
    """The passages of each text, in order, at most `chunking.size` tokens each.

    `start` and `end` are code points: `text[start:end] == content`. Passages end at the largest boundary that
    fits (paragraph, line, sentence, word, character) and carry no white space at their ends.
    """
    counts = count_tokens(texts)
    long = [text for text, tokens in zip(texts, counts, strict=True) if tokens > chunking.size]
    cut = iter(split_long(long, chunking) if long else [])
    return [
        next(cut) if tokens > chunking.size else keep_whole(text, tokens)
        for text, tokens in zip(texts, counts, strict=True)
    ]


def split_long(texts: Sequence[str], chunking: Chunking) -> list[list[Passage]]:
    cut = make_splitter(chunking.size, chunking.overlap).chunk_all_indices(texts)  # on all cores
    counts = iter(count_tokens([piece for pieces in cut for _, piece in pieces]))
    return [[Passage(piece, start, start + len(piece), next(counts)) for start, piece in pieces] for pieces in cut]


def keep_whole(text: str, tokens: int) -> list[Passage]:
    content = text.strip()
    start = len(text) - len(text.lstrip())
    return [Passage(content, start, start + len(content), tokens)] if content else []
