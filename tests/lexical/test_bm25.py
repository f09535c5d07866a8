import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstore.lexical.bm25 import idf, score_passages

WORDS = st.sampled_from(["a", "b", "c", "d", "e"])


def score_by_the_book(passages: list[list[str]], query: list[str], k1: float, b: float) -> list[float]:
    mean = sum(len(passage) for passage in passages) / len(passages)
    scores = []
    for passage in passages:
        score = 0.0
        for word in query:
            n = sum(word in one for one in passages)
            weight = math.log(1 + (len(passages) - n + 0.5) / (n + 0.5))
            tf = passage.count(word)
            if tf:
                score += weight * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(passage) / mean))
        scores.append(score)
    return scores


@settings(max_examples=200, deadline=None)
@given(
    passages=st.lists(st.lists(WORDS, max_size=12), min_size=1, max_size=8),
    query=st.lists(WORDS, min_size=1, max_size=8),
    k1=st.sampled_from([0.0, 0.9, 1.5]),
    b=st.sampled_from([0.0, 0.7, 1.0]),
)
def test_scores_agree_with_the_formula_written_out(
    passages: list[list[str]], query: list[str], k1: float, b: float
) -> None:
    terms = sorted(set(query))
    lengths = [len(passage) for passage in passages]
    scores = score_passages(
        [[passage.count(term) for term in terms] for passage in passages],
        lengths,
        [idf(len(passages), sum(term in passage for passage in passages)) for term in terms],
        [query.count(term) for term in terms],
        sum(lengths) / len(lengths),
        k1,
        b,
    )
    np.testing.assert_allclose(scores, score_by_the_book(passages, query, k1, b), rtol=0, atol=1e-9)


def test_one_occurrence_in_a_passage_of_mean_length_scores_the_idf() -> None:
    assert score_passages([[1]], [10], [2.5], [1], 10) == pytest.approx([2.5])


def test_a_rarer_term_weighs_more_and_a_term_of_every_passage_still_something() -> None:
    weights = [idf(100, count) for count in (1, 10, 50, 100)]
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] > 0
    assert idf(10, 12) > 0


def test_nothing_to_score_gives_nothing() -> None:
    assert score_passages(np.zeros((0, 2)), [], [1, 1], [1, 1], 0).shape == (0,)
    assert score_passages(np.zeros((3, 0)), [1, 2, 3], [], [], 2).tolist() == [0, 0, 0]
    assert score_passages([[0]], [0], [1], [1], 0).tolist() == [0]
