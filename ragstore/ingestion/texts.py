"""The text of a passage that is embedded and searched by words, and its words. Pure."""

from collections.abc import Sequence

from ragstore.collection.schemas import Chunking
from ragstore.collection.service import CollectionHandle
from ragstore.document.publishing import Passage
from ragstore.lexical.analysis import get_analyzer
from ragstore.lexical.indexing import PassageTerms, get_numbers, to_passage_terms
from ragstore.lexical.weighting import saturate


def compose_text(title: str | None, passage: Passage, chunking: Chunking) -> str:
    """The content at its end, behind what the collection puts before it."""
    before = [] if chunking.prefix == "none" else [title, passage.prefix]
    return "\n\n".join([*(one for one in before if one), passage.content])


def with_title(title: str | None, passage: str) -> str:
    """What a collection embeds unless it says otherwise: the middle of a document too says what it is about."""
    return f"{title}\n\n{passage}" if title else passage


def index_texts(texts: Sequence[str], handle: CollectionHandle) -> list[PassageTerms]:
    """The mean length that the weights are made with is the collection's by now, or else that of the texts."""
    analyzer, numbers = get_analyzer(handle.language), get_numbers(handle.id)
    found = [analyzer.terms(text) for text in texts]
    lengths = [analyzer.count_scored(terms) for terms in found]
    mean = handle.mean_length or max(1.0, sum(lengths) / max(1, len(lengths)))
    return [
        to_passage_terms(terms, numbers, length, saturate(length, mean))
        for terms, length in zip(found, lengths, strict=True)
    ]
