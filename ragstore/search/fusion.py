"""One order from two scores: BM25 and cosine. Pure.

A convex combination of scaled scores keeps how much better one passage is than the next, which ranks forget: it beats
reciprocal rank fusion on most collections (Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid
Retrieval"), above all where one of the two parts is weak.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ragstore.search.dense_weight import Background, Floats, weigh_dense

RANK_CONSTANT = 60


@dataclass(frozen=True)
class Fused:
    """`scores` in the order the passages were given, `weight` the share the dense part had: 0 to 1."""

    scores: Floats
    weight: float


def combine(
    lexical: ArrayLike,
    dense: ArrayLike | None,
    *,
    model: str,
    background: Background | None = None,
    weight: float | None = None,
) -> Fused:
    """(1 - weight) × BM25 / greatest BM25 + weight × (cosine - least) / (greatest - least), each in [0, 1].

    1 is a passage that has both the greatest BM25 score and the greatest cosine of those given. 0 is one that has no
    word of the query and the least cosine. Scores compare the passages of one search, not those of two.

    Without `weight`, `weigh_dense` sets it: 1 where no passage has a word of the query. Where `dense` is None (the
    passages have no vectors) it is 0, whatever was asked for. Raises ValueError for arrays of different lengths,
    numbers that are not finite, a negative BM25 score or a weight outside 0 to 1.
    """
    words = read_scores(lexical)
    if words.size and words.min() < 0:
        raise ValueError("BM25 scores are not negative")
    if weight is not None and not 0 <= weight <= 1:
        raise ValueError(f"the weight must be 0 to 1, not {weight}")
    if dense is None:
        return Fused(normalise_lexical(words), 0.0)
    meaning = read_scores(dense)
    if words.shape != meaning.shape:
        raise ValueError(f"{words.size} BM25 scores and {meaning.size} cosines")
    share = weigh_dense(words, meaning, model, background) if weight is None else weight
    return Fused((1 - share) * normalise_lexical(words) + share * normalise_dense(meaning), share)


def read_scores(scores: ArrayLike) -> Floats:
    numbers = np.asarray(scores, dtype=np.float64)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise ValueError("scores are one row of finite numbers")
    return numbers


def normalise_lexical(scores: Floats) -> Floats:
    """Divided by the greatest, so 0 stays "no word of the query"; all 0 where no passage has one."""
    greatest = scores.max(initial=0)
    return scores / greatest if greatest > 0 else np.zeros_like(scores)


def normalise_dense(scores: Floats) -> Floats:
    """The least becomes 0 and the greatest 1; all 1 where they are equal, as with a single passage."""
    if not scores.size:
        return scores
    least, greatest = scores.min(), scores.max()
    return (scores - least) / (greatest - least) if greatest > least else np.ones_like(scores)


def fuse_ranks(rankings: Sequence[NDArray[np.intp]], count: int, k: int = RANK_CONSTANT) -> Floats:
    """Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): the sum of 1 / (k + rank), ranks from 1.

    Each ranking holds positions 0 to `count` - 1, best first, none twice. The sum is divided by the greatest possible:
    1 is first in every ranking, 0 is in none.
    """
    scores = np.zeros(count)
    for ranking in rankings:
        scores[ranking] += (k + 1) / (k + 1 + np.arange(len(ranking)))
    return scores / max(len(rankings), 1)
