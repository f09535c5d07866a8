from collections.abc import Callable, Sequence
from dataclasses import replace

from ragstore.collection.schemas import Chunking, Prefix, Strategy
from ragstore.document.publishing import Passage
from ragstore.embedding.tokens import count_tokens
from ragstore.ingestion.chunking.markdown import cut_by_markdown
from ragstore.ingestion.chunking.packing import cut_by_sentences
from ragstore.ingestion.chunking.windows import Piece, cut_by_tokens
from ragstore.ingestion.outline import Outline, Place

MOST_TOKENS = 8192  # of a document that is one passage; providers take no longer texts
LONGEST_TOKEN = 16  # characters

CUTTERS: dict[Strategy, Callable[[Sequence[str], Chunking], list[list[Piece]]]] = {
    "tokens": cut_by_tokens,
    "markdown": cut_by_markdown,
    "sentences": cut_by_sentences,
}


def split_texts(
    texts: Sequence[str], chunking: Chunking, outlines: Sequence[Outline] | None = None
) -> list[list[Passage]]:
    """The passages of each text, in order, at most `chunking.size` tokens each, unless the strategy is `none`.

    `start` and `end` are code points: `text[start:end] == content`. Passages carry no white space at their ends.
    With outlines they know their page and headings, and their prefix. Takes time in proportion to the length of the
    texts.
    """
    counts = count_short(texts, MOST_TOKENS if chunking.strategy == "none" else chunking.size)
    whole = [chunking.strategy == "none" or tokens is not None for tokens in counts]
    long = [text for text, fits in zip(texts, whole, strict=True) if not fits]
    cut = iter(split_long(long, chunking) if long else [])
    passages = [
        keep_whole(text, tokens) if fits else next(cut) for text, tokens, fits in zip(texts, counts, whole, strict=True)
    ]
    if outlines is None:
        return passages
    return [place(one, outline, chunking.prefix) for one, outline in zip(passages, outlines, strict=True)]


def find_too_long(texts: Sequence[str], chunking: Chunking) -> dict[int, str]:
    """What is wrong with each text that cannot be the one passage that the rule wants it to be, by its index."""
    if chunking.strategy != "none":
        return {}
    message = f"must have at most {MOST_TOKENS} tokens to be one passage, as chunking.strategy none asks for"
    return {index: message for index, tokens in enumerate(count_short(texts, MOST_TOKENS)) if tokens is None}


def count_short(texts: Sequence[str], most: int) -> list[int | None]:
    """The tokens of each text, None for more than `most`; of a text that is surely longer they are not counted."""
    counted = iter(count_tokens([text for text in texts if len(text) <= LONGEST_TOKEN * most]))
    counts = [next(counted) if len(text) <= LONGEST_TOKEN * most else None for text in texts]
    return [None if tokens is None or tokens > most else tokens for tokens in counts]


def split_long(texts: Sequence[str], chunking: Chunking) -> list[list[Passage]]:
    cut = CUTTERS[chunking.strategy](texts, chunking)
    # Python takes a few more characters for white space than the splitter: such a piece says nothing.
    kept = [[(start, piece) for start, piece in pieces if piece.strip()] for pieces in cut]
    counts = iter(count_tokens([piece for pieces in kept for _, piece in pieces]))
    return [[Passage(piece, start, start + len(piece), next(counts)) for start, piece in pieces] for pieces in kept]


def keep_whole(text: str, tokens: int | None) -> list[Passage]:
    content = text.strip()
    start = len(text) - len(text.lstrip())
    if tokens is None:
        (tokens,) = count_tokens([content])
    return [Passage(content, start, start + len(content), tokens)] if content else []


def place(passages: Sequence[Passage], outline: Outline, rule: Prefix) -> list[Passage]:
    places = outline.locate([(one.start, one.end) for one in passages])
    return [
        replace(passage, metadata=there.to_metadata(), prefix=make_prefix(outline.title, there, rule))
        for passage, there in zip(passages, places, strict=True)
    ]


def make_prefix(title: str | None, there: Place, rule: Prefix) -> str:
    """The middle of a document too says what it is about. A first heading that repeats the title is left out."""
    if rule == "none":
        return ""
    if rule == "title":
        return title or ""
    headings = there.headings
    if title and headings and headings[0].casefold() == title.strip().casefold():
        headings = headings[1:]
    return "\n".join(part for part in (title, " > ".join(headings)) if part)
