"""A passage's terms in the three forms that the database keeps: for finding, for ranking, for phrases."""

import hashlib
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ragstore.columns import SPARSE_DIMENSIONS

MOST_TERMS = 16_000  # distinct terms of one passage: pgvector's limit of non-zero elements
MOST_POSITIONS = 255  # of one term in one passage: the limit of a tsvector
LAST_POSITION = 16_383
MOST_KNOWN_TERMS = 50_000  # of one collection, in one process
DIGITS = "0123456789abcdefghijklmnopqrstuv"
PAIRS = [high + low for high in DIGITS for low in DIGITS]


@dataclass(frozen=True)
class PassageTerms:
    """`terms` is a tsvector in text form; `indices` ascending int32 with their `weights` float32, each
    tf / (tf + saturation), from which the frequency can be had again; `length` is the passage's for BM25.
    """

    terms: str
    indices: NDArray[np.int32]
    weights: NDArray[np.float32]
    saturation: float
    length: int


@dataclass
class TermNumbers:
    """Numbers a collection's terms. The same word has another number in another collection, so that the index on all
    collections' terms never mixes them. In a collection of a million different words about 500 share their number
    with another.
    """

    collection_id: uuid.UUID
    known: dict[str, int] = field(default_factory=dict)

    def number(self, term: str) -> int:
        """From 0, below `SPARSE_DIMENSIONS`."""
        found = self.known.get(term)
        if found is None:
            if len(self.known) >= MOST_KNOWN_TERMS:
                self.known.clear()
            digest = hashlib.blake2b(term.encode(), digest_size=8, key=self.collection_id.bytes).digest()
            found = self.known[term] = int.from_bytes(digest, "big") % SPARSE_DIMENSIONS
        return found


@lru_cache(maxsize=8)
def get_numbers(collection_id: uuid.UUID) -> TermNumbers:
    """With the numbers that were asked for before: threads may share it."""
    return TermNumbers(collection_id)


def to_lexeme(number: int) -> str:
    """Six digits to the base 32: what stands for a term in a tsvector and in the counts."""
    return PAIRS[number >> 20] + PAIRS[number >> 10 & 1023] + PAIRS[number & 1023]


def to_passage_terms(terms: Sequence[str], numbers: TermNumbers, length: int, saturation: float) -> PassageTerms:
    """`terms` in the order of the text. Of a passage with more than `MOST_TERMS` different ones the first are kept."""
    positions: dict[int, list[int]] = {}
    for position, term in enumerate(terms, 1):
        number = numbers.known.get(term)
        if number is None:
            number = numbers.number(term)
        positions.setdefault(number, []).append(position)
    kept = sorted(list(positions)[:MOST_TERMS])
    frequencies = np.array([len(positions[number]) for number in kept], dtype=np.float64)
    return PassageTerms(
        " ".join([f"{to_lexeme(number)}:{write_positions(positions[number])}" for number in kept]),
        np.array(kept, dtype=np.int32),
        (frequencies / (frequencies + saturation)).astype(np.float32),
        saturation,
        length,
    )


def write_positions(positions: Sequence[int]) -> str:
    if len(positions) == 1:  # of most terms
        return str(min(positions[0], LAST_POSITION))
    return ",".join([str(min(one, LAST_POSITION)) for one in positions[:MOST_POSITIONS]])


def count_passages(passages: Sequence[PassageTerms]) -> dict[str, int]:
    """In how many of the passages each lexeme occurs."""
    counted: Counter[int] = Counter()
    for one in passages:
        counted.update(one.indices.tolist())
    return {to_lexeme(number): count for number, count in counted.items()}


def recover_frequencies(weights: NDArray[np.float32], saturation: NDArray[np.float32]) -> NDArray[np.float64]:
    """Term frequencies from stored weights; exact up to a frequency of a few thousand."""
    wide = weights.astype(np.float64)
    frequencies: NDArray[np.float64] = np.rint(saturation * wide / (1.0 - np.minimum(wide, 1.0 - 1e-7)))
    return frequencies
