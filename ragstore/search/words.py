"""What the words of a query ask of the database, and the scores of what comes back. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragstore.columns import Sparse, read_sparse
from ragstore.lexical.bm25 import idf, score_passages
from ragstore.lexical.indexing import TermNumbers, recover_frequencies, to_lexeme

Lexemes = tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """Of one query in one collection: the `terms`, their `numbers` and how often (or how much) each is asked for."""

    terms: tuple[str, ...]
    numbers: NDArray[np.int32]
    counts: NDArray[np.float64]
    phrases: tuple[Lexemes, ...] = ()
    excluded: tuple[Lexemes, ...] = ()

    @property
    def lexemes(self) -> list[str]:
        return [to_lexeme(number) for number in self.numbers.tolist()]


@dataclass(frozen=True)
class Statistics:
    """`passages` of the collection have each term, in the order of the words. Lengths and idf are those of all
    collections that are searched together, so that their scores can be compared.
    """

    chunks: int
    mean_length: float
    passages: NDArray[np.int64]
    idf: NDArray[np.float64]


def to_words(
    terms: Mapping[str, float],
    numbers: TermNumbers,
    phrases: Sequence[Sequence[str]] = (),
    excluded: Sequence[Sequence[str]] = (),
) -> Words:
    """Two terms with one number, which is rare, are one."""
    counted: dict[int, float] = {}
    named: dict[int, str] = {}
    for term, count in terms.items():
        number = numbers.number(term)
        counted[number] = counted.get(number, 0) + count
        named.setdefault(number, term)
    return Words(
        tuple(named.values()),
        np.array(list(counted), dtype=np.int32),
        np.array(list(counted.values()), dtype=np.float64),
        tuple(to_lexemes(phrase, numbers) for phrase in phrases),
        tuple(to_lexemes(phrase, numbers) for phrase in excluded),
    )


def count_statistics(chunks: int, mean_length: float, passages: NDArray[np.int64]) -> Statistics:
    """Of a collection that is searched by itself."""
    return Statistics(chunks, mean_length, passages, np.array([idf(chunks, count) for count in passages.tolist()]))


def share_statistics(words: Sequence[Words], statistics: Sequence[Statistics]) -> list[Statistics]:
    """As if all collections were one: a word that is rare in a small one is no rarer than it is in all."""
    chunks = sum(one.chunks for one in statistics)
    mean_length = sum(one.mean_length * one.chunks for one in statistics) / max(chunks, 1)
    passages: Counter[str] = Counter()
    for asked, one in zip(words, statistics, strict=True):
        passages.update(dict(zip(asked.terms, one.passages.tolist(), strict=True)))
    return [
        Statistics(
            one.chunks, mean_length, one.passages, np.array([idf(chunks, passages[term]) for term in asked.terms])
        )
        for asked, one in zip(words, statistics, strict=True)
    ]


def to_lexemes(terms: Sequence[str], numbers: TermNumbers) -> Lexemes:
    return tuple(to_lexeme(numbers.number(term)) for term in terms)


def keep_known(words: Words, statistics: Statistics, most: int) -> tuple[Words, Statistics]:
    """Without the terms that no passage has; of more than `most`, those that can add most to a score."""
    worth = np.where(statistics.passages > 0, statistics.idf * words.counts, -1.0)
    order = np.argsort(-worth, kind="stable")[:most]
    kept = np.sort(order[worth[order] >= 0])
    terms = tuple(words.terms[place] for place in kept)
    return (
        Words(terms, words.numbers[kept], words.counts[kept], words.phrases, words.excluded),
        Statistics(statistics.chunks, statistics.mean_length, statistics.passages[kept], statistics.idf[kept]),
    )


def choose_rarest(passages: NDArray[np.int64], budget: int) -> NDArray[np.intp]:
    """The terms to look up: the rarest, until together they are in `budget` passages; at least one.

    Passages that hold only the others, the commonest, are then not scored.
    """
    order = np.argsort(passages, kind="stable")
    within = np.cumsum(passages[order]) <= budget
    count = max(1, int(np.argmin(within)) if not within.all() else len(order))
    return np.sort(order[:count])


def write_tsquery(lookups: Sequence[str], phrases: Sequence[Lexemes], excluded: Sequence[Lexemes]) -> str:
    """Lexemes hold digits and letters only, so nothing needs quoting."""
    required = ["(" + "|".join(lookups) + ")"] if lookups else []
    required += ["(" + "<->".join(phrase) + ")" for phrase in phrases]
    return " & ".join(required + [f"!{write_excluded([one])}" for one in excluded])


def write_excluded(excluded: Sequence[Lexemes]) -> str:
    """Matches a passage with any of them."""
    return "(" + "|".join("(" + "<->".join(one) + ")" for one in excluded) + ")"


def to_query_weights(words: Words, statistics: Statistics) -> Sparse:
    """Its inner product with a passage's weights is about the BM25 score."""
    order = np.argsort(words.numbers)
    return words.numbers[order], (statistics.idf * words.counts)[order].astype(np.float32)


def score_words(
    weights: Sequence[bytes | None],
    saturations: NDArray[np.float64],
    lengths: NDArray[np.float64],
    words: Words,
    statistics: Statistics,
    k1: float,
    b: float,
) -> NDArray[np.float64]:
    """The BM25 score of each passage, by the collection's statistics of now; `weights` as the database sends them."""
    if not len(words.numbers) or not weights:
        return np.zeros(len(weights))
    frequencies = count_frequencies(weights, saturations, words.numbers)
    mean_length = statistics.mean_length or 1.0
    return score_passages(frequencies, lengths, statistics.idf, words.counts, mean_length, k1, b)


def count_frequencies(
    weights: Sequence[bytes | None], saturations: NDArray[np.float64], numbers: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Shape (passages, terms)."""
    found = np.zeros((len(weights), len(numbers)))
    present = [place for place, one in enumerate(weights) if one is not None]
    if not present:
        return found
    sizes, indices, values = read_sparse([one for one in weights if one is not None])
    rows = np.repeat(np.array(present), sizes)
    order = np.argsort(numbers)
    places = np.minimum(np.searchsorted(numbers[order], indices), len(numbers) - 1)
    hit = numbers[order][places] == indices
    found[rows[hit], order[places[hit]]] = recover_frequencies(values[hit], saturations[rows[hit]])
    return found


def bound_missed(words: Words, statistics: Statistics, looked_up: NDArray[np.intp], k1: float) -> float:
    """No passage without the words that were looked up scores more (MaxScore: Turtle & Flood 1995)."""
    rest = np.ones(len(words.numbers), dtype=bool)
    rest[looked_up] = False
    return float((statistics.idf * words.counts)[rest].sum() * (k1 + 1.0))
