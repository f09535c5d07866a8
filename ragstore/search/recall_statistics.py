"""How much of the exact answer a search finds, and how sure a sample of queries makes one of it. Pure.

The unit of the sample is the query: misses of one query come together, so its hits are no independent trials. The
interval is by betting (Waudby-Smith & Ramdas, JRSS-B 2024, "Estimating means of bounded random variables by betting"),
with bets mixed over the arcsine prior (Orabona & Jun, IEEE Trans. Inf. Theory 2024, after Cover's universal portfolio).
It holds for every distribution of recalls on 0..1 and every number of queries, however misses cluster; all that it
needs is that the queries are drawn independently. Its price is width: 1.3 times that of Clopper and Pearson when all
queries are perfect, and 1.6 to 2 times that of a normal approximation where there are misses enough to believe one.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BETS = 128
STEPS = 60  # of bisection: the bound is exact to the last bits of a float64

Neighbour = tuple[Hashable, float]  # id, exact distance


@dataclass(frozen=True)
class RecallEstimate:
    """`mean` over the queries, and the interval `low` to `high` that holds the true one."""

    mean: float
    low: float
    high: float
    queries: int


def measure_recall(found: Sequence[Neighbour], exact: Sequence[Neighbour], tolerance: float = 0.0) -> float:
    """The part of `exact`, the true nearest k best first, that is among the first k of `found`.

    Distances of both are exact ones. Whatever is as near as the last of `exact` counts, for then another choice among
    equals would have been as right; `tolerance` allows for distances that were not computed by the same code. An id
    counts once. A shorter `exact` (fewer documents match) is the k. Raises ValueError when it is empty: a query with
    nothing to find has no recall.
    """
    if not exact:
        raise ValueError("a query with nothing to find has no recall")
    k = len(exact)
    wanted = {identity for identity, _ in exact}
    farthest = max(distance for _, distance in exact) + tolerance
    hits = {identity for identity, distance in found[:k] if identity in wanted or distance <= farthest}
    return len(hits) / k


def estimate_recall(recalls: Sequence[float] | NDArray[np.float64], confidence: float = 0.95) -> RecallEstimate:
    """Of the recalls of independent queries, each from 0 to 1. The order does not matter.

    Raises ValueError for none at all, for one outside 0..1 or NaN, and for a confidence that is not within 0..1.
    """
    values = np.asarray(recalls, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError("there must be at least one query")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("a recall must be from 0 to 1")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be within 0 and 1, not {confidence}")
    stake = (1 - confidence) / 2  # one side's part of the error
    mean = min(max(float(values.mean()), float(values.min())), float(values.max()))
    low, high = bound_below(values, stake), 1 - bound_below(1 - values, stake)
    return RecallEstimate(mean, min(low, mean), max(high, mean), len(values))


def bound_below(values: NDArray[np.float64], error: float) -> float:
    """The least mean that the values do not refute: a true mean is below it with a probability of at most `error`.

    Whoever bets on every value that it is above m, with odds fair for a mean of m, multiplies a stake by `1 + bet ×
    (value / m - 1)`. If the mean is m or less, the expected capital is 1 at most, so it reaches 1 / error with a
    probability of at most `error` (Markov). The capital falls as m grows, so bisection finds where it does so.
    """
    different, counts = np.unique(values, return_counts=True)
    # the nodes of Chebyshev and Gauss: equal weights on them are the arcsine prior
    bets = (1 - np.cos((np.arange(BETS) + 0.5) * np.pi / BETS)) / 2
    low, high = 0.0, float(values.mean())
    for _ in range(STEPS):
        middle = (low + high) / 2
        if middle <= 0:
            break
        growth = np.log1p(bets[:, None] * (different / middle - 1)) @ counts
        if np.logaddexp.reduce(growth) - np.log(BETS) >= -np.log(error):
            low = middle
        else:
            high = middle
    return low
