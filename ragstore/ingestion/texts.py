"""The words of passages, as they are searched by. Pure."""

from collections.abc import Sequence

from ragstore.collection.service import CollectionHandle
from ragstore.lexical.analysis import get_analyzer
from ragstore.lexical.indexing import PassageTerms, get_numbers, to_passage_terms
from ragstore.lexical.weighting import saturate


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
