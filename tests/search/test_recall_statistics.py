from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragstore.search.recall_statistics import Neighbour, estimate_recall, measure_recall

K = 10
EXACT: list[Neighbour] = [("a", 0.1), ("b", 0.2), ("c", 0.3), ("d", 0.3)]

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


@pytest.mark.parametrize(
    ("found", "recall"),
    [
        (EXACT, 1),
        (EXACT[::-1], 1),
        ([], 0),
        ([("a", 0.1), ("x", 0.4), ("b", 0.2)], 0.5),
        ([("a", 0.1), ("b", 0.2), ("e", 0.3), ("f", 0.3)], 1),  # e and f are as near as the last of the exact ones
        ([("e", 0.3), ("f", 0.3), ("g", 0.3000001), ("a", 0.1)], 0.75),
        ([("a", 0.1), ("a", 0.1), ("a", 0.1), ("a", 0.1)], 0.25),
        ([("x", 0.9), ("x2", 0.9), ("x3", 0.9), ("x4", 0.9), ("a", 0.1)], 0),  # fifth of four does not count
        ([("d", 0.30000001)], 0.25),  # the same id, its distance from another computation
    ],
)
def test_recall_of_one_query(found: list[Neighbour], recall: float) -> None:
    assert measure_recall(found, EXACT) == recall


def test_a_tolerance_makes_nearly_equal_distances_equal() -> None:
    found: list[Neighbour] = [("e", 0.3001), ("f", 0.302)]
    assert measure_recall(found, EXACT) == 0
    assert measure_recall(found, EXACT, tolerance=0.001) == 0.25


def test_a_query_with_nothing_to_find_has_no_recall() -> None:
    with pytest.raises(ValueError, match="nothing to find"):
        measure_recall([("a", 0.1)], [])


def misses_alone(recall: float) -> Draw:
    """Every hit is missed by itself."""
    return lambda drawn, count: drawn.binomial(K, recall, count) / K


def misses_together(recall: float, lost: float) -> Draw:
    """Few queries, each of which loses the same part of its hits; all others are perfect."""
    return lambda drawn, count: np.where(drawn.random(count) < (1 - recall) / lost, 1 - lost, 1.0)


def misses_mixed(recall: float) -> Draw:
    """Half of the misses alone, half of them in queries that find nothing."""
    lost = 1 - (recall / (1 - (1 - recall) / 2))

    def draw(drawn: np.random.Generator, count: int) -> NDArray[np.float64]:
        alone = drawn.binomial(K, 1 - (1 - recall) / 2, count) / K
        return np.where(drawn.random(count) < lost, 0.0, alone)

    return draw


@pytest.mark.parametrize("queries", [30, 500])
@pytest.mark.parametrize(
    ("recall", "draw"),
    [
        (0.5, misses_alone(0.5)),
        (0.95, misses_alone(0.95)),
        (0.999, misses_alone(0.999)),
        (0.9, misses_together(0.9, 1.0)),
        (0.99, misses_together(0.99, 0.5)),
        (0.999, misses_together(0.999, 1.0)),
        (0.999, misses_together(0.999, 0.3)),
        (0.95, misses_mixed(0.95)),
        (0.999, misses_mixed(0.999)),
    ],
)
def test_the_interval_covers_the_true_recall(recall: float, draw: Draw, queries: int) -> None:
    drawn = np.random.default_rng(11)
    covered = 0
    for _ in range(200):
        estimate = estimate_recall(draw(drawn, queries))
        covered += estimate.low <= recall <= estimate.high
    assert covered / 200 >= 0.93


@pytest.mark.parametrize("queries", [1, 20, 100, 200, 1000])
def test_perfect_queries_leave_room_for_what_was_not_seen(queries: int) -> None:
    """At most one and a half times as far from 1 as the bound of Clopper and Pearson, which nothing can beat."""
    estimate = estimate_recall(np.ones(queries))
    best = 0.025 ** (1 / queries)
    assert (estimate.mean, estimate.high, estimate.queries) == (1, 1, queries)
    assert 1 - 1.5 * (1 - best) <= estimate.low <= best


def test_more_queries_narrow_the_interval_and_more_confidence_widens_it() -> None:
    drawn = np.random.default_rng(2)
    recalls = misses_alone(0.95)(drawn, 4000)
    few, many = estimate_recall(recalls[:200]), estimate_recall(recalls)
    sure = estimate_recall(recalls, confidence=0.99)
    assert many.high - many.low < (few.high - few.low) / 3
    assert sure.low < many.low < many.high < sure.high
    normal = 2 * 1.96 * recalls.std() / 4000**0.5
    assert normal < many.high - many.low < 2 * normal


@given(st.lists(st.sampled_from([0, 1e-9, 0.1, 1 / 3, 0.5, 0.9, 1 - 1e-9, 1]), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_the_interval_is_within_0_and_1_and_holds_the_mean(recalls: list[float]) -> None:
    estimate = estimate_recall(recalls)
    assert 0 <= estimate.low <= estimate.mean <= estimate.high <= 1
    assert estimate.mean == pytest.approx(np.mean(recalls))
    assert estimate_recall(recalls[::-1]).low == pytest.approx(estimate.low, abs=1e-12)
    mirrored = estimate_recall([1 - recall for recall in recalls])
    assert mirrored.low == pytest.approx(1 - estimate.high, abs=1e-9)


@pytest.mark.parametrize(
    ("recalls", "confidence", "message"),
    [
        ([], 0.95, "at least one query"),
        ([[1.0]], 0.95, "at least one query"),
        ([1.01], 0.95, "from 0 to 1"),
        ([-0.01], 0.95, "from 0 to 1"),
        ([float("nan")], 0.95, "from 0 to 1"),
        ([1.0], 1.0, "confidence"),
        ([1.0], 0.0, "confidence"),
    ],
)
def test_what_is_no_sample_of_recalls_is_refused(recalls: list[float], confidence: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate_recall(recalls, confidence)
