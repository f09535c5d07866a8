import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstore.search.dense_weight import (
    UNKNOWN_MODEL,
    Background,
    Floats,
    describe_background,
    describe_candidates,
    find_trust,
    measure_agreement,
    weigh_dense,
)

AROUND = Background(0.1, 0.05)
WORDS = np.arange(40.0, 0, -1)  # the first passage is the best by BM25
DOUBTED = "local"
BELIEVED = "text-embedding-3-small"


def falling(size: int, greatest: float, least: float) -> Floats:
    return np.linspace(greatest, least, size)


def test_the_weight_is_the_range_of_the_cosines_in_deviations_times_the_models_scale() -> None:
    dense = falling(40, 0.6, 0.1)  # ten deviations
    assert weigh_dense(WORDS, dense, BELIEVED, AROUND) == pytest.approx(2.0 / 3.0)
    assert weigh_dense(WORDS, dense, "another", AROUND) == pytest.approx(1.5 / 2.5)
    assert weigh_dense(WORDS, dense, DOUBTED, AROUND) == pytest.approx(1.0 / 2.0)  # agrees in full


def test_a_sharper_question_gives_the_vectors_more_weight() -> None:
    blunt = weigh_dense(WORDS, falling(40, 0.2, 0.1), DOUBTED, AROUND)
    sharp = weigh_dense(WORDS, falling(40, 0.7, 0.1), DOUBTED, AROUND)
    assert 0 < blunt < sharp < 1


def test_a_local_model_that_contradicts_bm25_is_not_heard_and_a_providers_is() -> None:
    opposite = falling(40, 0.0, 0.6)
    assert weigh_dense(WORDS, opposite, DOUBTED, Background(0.3, 0.05)) == 0
    assert weigh_dense(WORDS, opposite, BELIEVED, Background(0.3, 0.05)) > 0.5


def test_a_model_that_agrees_by_half_of_what_is_asked_has_half_the_strength() -> None:
    dense = np.full(40, 0.1)
    dense[:10] = 0.1 + 0.15 * 0.4  # best by words: 0.15 of what the ten best reach
    dense[10:20] = 0.5
    assert measure_agreement(WORDS, dense, 0.1) == pytest.approx(0.15)
    strength = 0.10 * (0.4 / 0.05) * 0.5
    assert weigh_dense(WORDS, dense, DOUBTED, AROUND) == pytest.approx(strength / (1 + strength))


def test_fewer_than_ten_passages_with_a_word_of_the_query_are_too_few_to_doubt_the_model() -> None:
    few = np.where(np.arange(40) < 9, WORDS, 0)
    enough = np.where(np.arange(40) < 10, WORDS, 0)
    opposite = falling(40, 0.0, 0.6)
    assert measure_agreement(few, opposite, 0.3) == 1
    assert measure_agreement(enough, opposite, 0.3) == 0


def test_agreement_is_not_in_doubt_where_no_cosine_stands_out() -> None:
    assert measure_agreement(WORDS, np.full(40, 0.1), 0.1) == 1


def test_without_a_word_of_the_query_the_vectors_have_all_the_weight() -> None:
    assert weigh_dense(np.zeros(3), np.array([0.1, 0.2, 0.3]), DOUBTED) == 1
    assert weigh_dense(np.zeros(3), np.full(3, 0.2), DOUBTED) == 1


def test_cosines_that_say_nothing_have_no_weight() -> None:
    assert weigh_dense(WORDS, np.full(40, 0.2), BELIEVED) == 0
    assert weigh_dense(np.array([1.0]), np.array([0.2]), BELIEVED) == 0
    assert weigh_dense(np.array([]), np.array([]), BELIEVED) == 0


def test_without_a_background_the_passages_given_are_it() -> None:
    dense = falling(40, 0.6, 0.1)
    assert weigh_dense(WORDS, dense, DOUBTED) == weigh_dense(WORDS, dense, DOUBTED, describe_background(dense))


def test_a_background_is_the_mean_and_the_deviation() -> None:
    around = describe_background(np.array([0.1, 0.3]))
    assert (around.mean, around.deviation) == pytest.approx((0.2, 0.1))
    assert describe_background(np.array([])) == Background(0, 0)


def test_lexical_candidates_are_the_background_when_they_are_twenty_or_more() -> None:
    dense = falling(60, 0.6, 0.1)
    listed = np.arange(60) >= 40
    assert describe_candidates(dense, listed) == describe_background(dense[40:])
    listed[40] = False
    assert describe_candidates(dense, listed) == describe_background(dense)


def test_every_model_has_a_trust_by_its_name_with_or_without_a_vendor() -> None:
    assert find_trust("openai/text-embedding-3-large") == find_trust("text-embedding-3-large") != UNKNOWN_MODEL
    assert find_trust("somebody/else") == find_trust("") == UNKNOWN_MODEL
    assert find_trust("local").agreement > 0


rows = st.lists(st.tuples(st.integers(0, 50), st.integers(-100, 100)), min_size=1, max_size=40)


@given(rows, st.sampled_from([0.25, 0.5, 2.0, 4.0]), st.integers(-8, 8), st.sampled_from([DOUBTED, BELIEVED]))
def test_a_stretched_and_shifted_cosine_has_the_same_weight(
    given_rows: list[tuple[int, int]], stretch: float, shift: int, model: str
) -> None:
    lexical = np.array([row[0] for row in given_rows], dtype=np.float64)
    dense = np.array([row[1] for row in given_rows]) / 128
    weight = weigh_dense(lexical, dense, model)
    assert weigh_dense(lexical, dense * stretch + shift, model) == pytest.approx(weight, abs=1e-9)


@given(rows, st.sampled_from([0.25, 4.0, 100.0]), st.sampled_from([DOUBTED, BELIEVED]))
def test_the_unit_of_bm25_does_not_matter(given_rows: list[tuple[int, int]], unit: float, model: str) -> None:
    lexical = np.array([row[0] for row in given_rows], dtype=np.float64)
    dense = np.array([row[1] for row in given_rows]) / 128
    assert weigh_dense(lexical * unit, dense, model) == weigh_dense(lexical, dense, model)
