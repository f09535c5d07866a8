import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragstore.search.diversity import choose_diverse

Hits = tuple[NDArray[np.float64], NDArray[np.float32]]


def unit(rows: list[list[float]]) -> NDArray[np.float32]:
    vectors = np.array(rows, dtype=np.float32)
    scaled: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
    return scaled


@st.composite
def hits(draw: st.DrawFn) -> Hits:
    """Few different scores and directions, so that ties and duplicates are common."""
    count = draw(st.integers(0, 30))
    drawn = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    directions = unit(drawn.normal(size=(6, 24)).tolist())
    scores = drawn.choice([-3.0, 0.1, 0.2, 0.7, 40.0], size=count)
    return scores, directions[drawn.integers(0, 6, size=count)]


diversities = st.sampled_from([0, 0.1, 0.5, 0.9, 1])


@given(hits(), diversities, st.integers(-1, 40))
@settings(max_examples=150, deadline=None)
def test_the_choice_is_a_subset_without_repetition_that_begins_with_the_best(
    given_hits: Hits, diversity: float, count: int
) -> None:
    scores, vectors = given_hits
    chosen = choose_diverse(scores, vectors, diversity, count)
    assert len(chosen) == min(max(count, 0), len(scores))
    assert len(set(chosen.tolist())) == len(chosen)
    if len(chosen):
        assert chosen[0] == np.argmax(scores)


@given(hits(), st.integers(0, 40))
@settings(max_examples=100, deadline=None)
def test_without_diversity_it_is_the_order_of_the_scores(given_hits: Hits, count: int) -> None:
    scores, vectors = given_hits
    order = sorted(range(len(scores)), key=lambda position: -scores[position])
    assert choose_diverse(scores, vectors, 0, count).tolist() == order[:count]


@given(hits(), diversities, st.integers(0, 40))
@settings(max_examples=100, deadline=None)
def test_fewer_are_the_first_of_more_and_the_scale_of_the_scores_does_not_matter(
    given_hits: Hits, diversity: float, count: int
) -> None:
    scores, vectors = given_hits
    everything = choose_diverse(scores, vectors, diversity, len(scores)).tolist()
    assert choose_diverse(scores, vectors, diversity, count).tolist() == everything[:count]
    assert choose_diverse(scores * 1024 - 512, vectors, diversity, len(scores)).tolist() == everything


def choose_by_definition(scores: NDArray[np.float64], vectors: NDArray[np.float32], diversity: float) -> list[int]:
    relevance = (scores - scores.min()) / (scores.max() - scores.min())
    cosines = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    chosen = [int(np.argmax(scores))]
    while len(chosen) < len(scores):
        left = [one for one in range(len(scores)) if one not in chosen]
        chosen.append(
            max(left, key=lambda one: (1 - diversity) * relevance[one] - diversity * max(cosines[one, chosen]))
        )
    return chosen


@pytest.mark.parametrize("diversity", [0.2, 0.5, 0.8, 1.0])
def test_it_is_what_the_paper_defines(diversity: float) -> None:
    drawn = np.random.default_rng(3)
    scores, vectors = drawn.normal(size=40), unit(drawn.normal(size=(40, 64)).tolist())
    assert choose_diverse(scores, vectors, diversity, 40).tolist() == choose_by_definition(scores, vectors, diversity)


def test_duplicates_are_pushed_back() -> None:
    vectors = unit([[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]])
    scores = np.array([0.9, 0.89, 0.5, 0.88, 0.49])
    assert choose_diverse(scores, vectors, 0.5, 5).tolist() == [0, 2, 4, 1, 3]
    assert choose_diverse(scores, vectors, 0.01, 5).tolist() == [0, 1, 3, 2, 4]


def test_with_nothing_but_novelty_the_opposite_comes_second() -> None:
    vectors = unit([[1, 0], [1, 0.1], [0, 1], [-1, 0]])
    assert choose_diverse(np.array([0.9, 0.8, 0.7, 0.0]), vectors, 1, 4).tolist() == [0, 3, 2, 1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [7, 1001])
def test_equal_hits_keep_their_order(seed: int, count: int) -> None:
    """BLAS sums the products of equal rows in different orders, so their cosines differ in the last bits."""
    first, other = unit(np.random.default_rng(seed).normal(size=(2, 1536)).tolist())
    vectors = np.vstack([first, np.tile(other, (count - 1, 1))])
    scores = np.array([1.0] + [0.5] * (count - 1))
    assert choose_diverse(scores, vectors, 0.7, 60).tolist() == list(range(min(count, 60)))


@pytest.mark.parametrize(
    ("scores", "vectors", "diversity", "message"),
    [
        ([1.0, 2.0], [[1.0, 0.0]], 0.5, "do not fit"),
        ([[1.0]], [[1.0, 0.0]], 0.5, "do not fit"),
        ([1.0], [1.0], 0.5, "do not fit"),
        ([1.0], [[1.0, 0.0]], -0.1, "from 0 to 1"),
        ([1.0], [[1.0, 0.0]], 1.1, "from 0 to 1"),
        ([1.0], [[1.0, 0.0]], float("nan"), "from 0 to 1"),
        ([float("nan")], [[1.0, 0.0]], 0.5, "finite"),
        ([1.0], [[float("inf"), 0.0]], 0.5, "finite"),
    ],
)
def test_what_cannot_be_ranked_is_refused(scores: object, vectors: object, diversity: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_diverse(np.array(scores), np.array(vectors, dtype=np.float32), diversity, 1)
