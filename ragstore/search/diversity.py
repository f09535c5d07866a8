"""Hits that do not repeat each other: maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998). Pure."""

import numpy as np
from numpy.typing import NDArray

# Equal vectors must tie, whatever the order in which BLAS sums their products.
SIMILARITY_DECIMALS = 6


def choose_diverse(
    scores: NDArray[np.floating], vectors: NDArray[np.float32], diversity: float, count: int
) -> NDArray[np.intp]:
    """Positions of at most `count` hits, in the order of choice: no repetition, the best score first.

    `scores` of shape (n,), larger is better, on any scale; `vectors` of shape (n, d), unit length. Each next hit has
    the most of `(1 - diversity) × score - diversity × (largest cosine to a chosen hit)`, with the scores stretched to
    0..1. So diversity 0 is the order of the scores, and 1 looks only at novelty once the first is chosen. Ties go to
    the earlier position. Raises ValueError for shapes that do not fit, NaN, infinity, or a diversity outside 0..1.
    """
    check_arguments(scores, vectors, diversity)
    count = min(max(count, 0), len(scores))
    relevance = stretch(scores)
    if diversity == 0 or count <= 1:
        return np.argsort(-relevance, kind="stable")[:count]
    chosen = np.empty(count, dtype=np.intp)
    nearest = np.full(len(scores), -np.inf)  # the largest cosine to a chosen hit
    value = relevance.copy()
    for turn in range(count):
        position = chosen[turn] = int(np.argmax(value))
        np.maximum(nearest, np.round(vectors @ vectors[position], SIMILARITY_DECIMALS), out=nearest)
        value = (1 - diversity) * relevance - diversity * nearest
        value[chosen[: turn + 1]] = -np.inf
    return chosen


def check_arguments(scores: NDArray[np.floating], vectors: NDArray[np.float32], diversity: float) -> None:
    if scores.ndim != 1 or vectors.ndim != 2 or len(scores) != len(vectors):
        raise ValueError(f"scores of shape {scores.shape} do not fit vectors of shape {vectors.shape}")
    if not 0 <= diversity <= 1:
        raise ValueError(f"diversity must be from 0 to 1, not {diversity}")
    if not (np.isfinite(scores).all() and np.isfinite(vectors).all()):
        raise ValueError("scores and vectors must be finite")


def stretch(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """To 0..1, the largest at 1; all 1 when they are equal."""
    wide = scores.astype(np.float64)
    if not len(wide):
        return wide
    span = wide.max() - wide.min()
    return 1 - (wide.max() - wide) / span if span > 0 else np.ones_like(wide)
