import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragstore.search.dense_weight import Background
from ragstore.search.fusion import combine, fuse_ranks

MODEL = "local"
bm25 = st.one_of(st.just(0.0), st.floats(0, 60), st.sampled_from([5e-324, 1e-300, 1e300]))
cosines = st.one_of(st.floats(-1, 1), st.sampled_from([0.0, 5e-324, 1e-12, 1.0]))
passages = st.lists(st.tuples(bm25, cosines), max_size=30)
weights = st.floats(0, 1)
models = st.sampled_from(["local", "text-embedding-3-small", "another"])
backgrounds = st.one_of(st.none(), st.builds(Background, st.floats(-1, 1), st.floats(0, 1)))


def columns(rows: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [row[0] for row in rows], [row[1] for row in rows]


def best_first(scores: NDArray[np.float64]) -> list[int]:
    return [int(position) for position in np.argsort(-scores, kind="stable")]


def test_a_given_weight_divides_the_score_between_the_two_parts() -> None:
    fused = combine([4.0, 2.0, 0.0], [0.1, 0.3, 0.5], model=MODEL, weight=0.25)
    assert fused.weight == 0.25
    assert fused.scores == pytest.approx([0.75, 0.75 * 0.5 + 0.25 * 0.5, 0.25])


def test_the_best_of_both_parts_scores_1_and_no_word_with_the_least_cosine_0() -> None:
    for weight in (None, 0.0, 0.3, 1.0):
        fused = combine([7.0, 3.0, 0.0], [0.9, 0.7, 0.2], model=MODEL, weight=weight)
        assert fused.scores[0] == 1
        assert fused.scores[2] == 0


def test_a_query_without_a_matching_word_is_ordered_by_meaning_alone() -> None:
    fused = combine([0.0, 0.0, 0.0], [0.2, 0.6, 0.4], model=MODEL)
    assert fused.weight == 1
    assert fused.scores == pytest.approx([0, 1, 0.5])


def test_a_given_weight_is_kept_where_no_word_matches() -> None:
    fused = combine([0.0, 0.0], [0.2, 0.6], model=MODEL, weight=0.25)
    assert fused.weight == 0.25
    assert fused.scores.tolist() == [0, 0.25]
    assert combine([0.0, 0.0], None, model=MODEL).scores.tolist() == [0, 0]


def test_passages_without_vectors_are_ordered_by_words_alone_whatever_the_weight() -> None:
    for weight in (None, 0.8):
        fused = combine([1.0, 4.0, 0.0], None, model=MODEL, weight=weight)
        assert fused.weight == 0
        assert fused.scores == pytest.approx([0.25, 1, 0])


def test_the_extreme_weights_are_the_parts_themselves() -> None:
    lexical, dense = [3.0, 9.0, 1.0, 0.0], [0.1, 0.2, 0.9, 0.4]
    assert best_first(combine(lexical, dense, model=MODEL, weight=0).scores) == [1, 0, 2, 3]
    assert best_first(combine(lexical, dense, model=MODEL, weight=1).scores) == [2, 3, 1, 0]


def test_no_passage_and_one_passage_have_scores_too() -> None:
    assert combine([], [], model=MODEL).scores.size == 0
    assert combine([], None, model=MODEL).scores.size == 0
    assert combine([2.0], [0.3], model=MODEL).scores.tolist() == [1.0]
    assert combine([0.0], [0.3], model=MODEL).scores.tolist() == [1.0]


def test_equal_cosines_leave_the_order_to_the_words() -> None:
    fused = combine([1.0, 2.0, 0.0], [0.4, 0.4, 0.4], model=MODEL)
    assert fused.weight == 0
    assert best_first(fused.scores) == [1, 0, 2]


@pytest.mark.parametrize(
    ("lexical", "dense", "weight"),
    [
        ([1.0], [0.1, 0.2], None),
        ([1.0, math.nan], [0.1, 0.2], None),
        ([1.0, 2.0], [0.1, math.inf], None),
        ([1.0, -2.0], [0.1, 0.2], None),
        ([[1.0, 2.0]], [[0.1, 0.2]], None),
        ([1.0, 2.0], [0.1, 0.2], 1.1),
        ([1.0, 2.0], [0.1, 0.2], -0.1),
        ([1.0, 2.0], [0.1, 0.2], math.nan),
        ([1.0, 2.0], None, 2.0),
    ],
)
def test_what_cannot_be_fused_is_refused(lexical: list[float], dense: list[float] | None, weight: float | None) -> None:
    with pytest.raises(ValueError, match=r"scores|cosines|weight"):
        combine(lexical, dense, model=MODEL, weight=weight)


@given(passages, models, backgrounds, st.one_of(st.none(), weights))
def test_every_score_and_weight_is_a_number_from_0_to_1_and_the_same_again(
    rows: list[tuple[float, float]], model: str, background: Background | None, weight: float | None
) -> None:
    lexical, dense = columns(rows)
    fused = combine(lexical, dense, model=model, background=background, weight=weight)
    assert len(fused.scores) == len(rows)
    assert ((fused.scores >= 0) & (fused.scores <= 1)).all()  # false for NaN
    assert 0 <= fused.weight <= 1
    again = combine(lexical, dense, model=model, background=background, weight=weight)
    assert fused.weight == again.weight
    assert fused.scores.tolist() == again.scores.tolist()


@given(passages, models, st.one_of(st.none(), weights))
def test_a_passage_that_is_better_in_both_parts_is_never_below(
    rows: list[tuple[float, float]], model: str, weight: float | None
) -> None:
    scores = combine(*columns(rows), model=model, weight=weight).scores
    for (words, meaning), score in zip(rows, scores, strict=True):
        for (other_words, other_meaning), other in zip(rows, scores, strict=True):
            assert not (words >= other_words and meaning >= other_meaning) or score >= other


@given(st.lists(st.tuples(bm25, cosines), min_size=1, max_size=30), weights, st.data())
def test_a_passage_never_loses_by_a_better_score_of_its_own(
    rows: list[tuple[float, float]], weight: float, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, len(rows) - 1))
    words, meaning = rows[position]
    raised = list(rows)
    raised[position] = (words + data.draw(st.floats(0, 60)), meaning + data.draw(st.floats(0, 1)))
    before = combine(*columns(rows), model=MODEL, weight=weight).scores[position]
    assert combine(*columns(raised), model=MODEL, weight=weight).scores[position] >= before


def test_reciprocal_ranks_are_added_and_1_is_first_in_every_list() -> None:
    scores = fuse_ranks([np.array([0, 1]), np.array([0, 2])], count=4)
    second = 61 / 62 / 2
    assert scores == pytest.approx([1, second, second, 0])


def test_reciprocal_rank_fusion_orders_as_its_definition_does() -> None:
    lexical, dense = [3, 1, 0, 4], [4, 2, 1]
    scores = fuse_ranks([np.array(lexical), np.array(dense)], count=6, k=10)
    defined = [
        sum(1 / (10 + ranking.index(passage) + 1) for ranking in (lexical, dense) if passage in ranking)
        for passage in range(6)
    ]
    assert scores == pytest.approx([value / (2 / 11) for value in defined])


def test_ranks_of_nothing_are_0() -> None:
    assert fuse_ranks([], count=2).tolist() == [0, 0]
    assert fuse_ranks([np.array([], dtype=np.intp)], count=1).tolist() == [0]


@given(st.permutations(range(8)), st.permutations(range(8)), st.integers(0, 8), st.integers(0, 8))
def test_a_passage_before_another_in_both_lists_stays_before_it(
    first: list[int], second: list[int], cut: int, other_cut: int
) -> None:
    lists = [first[:cut], second[:other_cut]]
    scores = fuse_ranks([np.array(ranking, dtype=np.intp) for ranking in lists], count=8)
    assert ((scores >= 0) & (scores <= 1)).all()
    for one in range(8):
        for other in set(range(8)) - {one}:
            ranks = [(rank_of(ranking, one), rank_of(ranking, other)) for ranking in lists]
            if all(mine <= yours for mine, yours in ranks):
                assert scores[one] >= scores[other]


def rank_of(ranking: list[int], passage: int) -> int:
    return ranking.index(passage) if passage in ranking else len(ranking)
