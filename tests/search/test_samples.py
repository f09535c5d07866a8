import numpy as np
import pytest

from ragstore.collection.schemas import Metric
from ragstore.search.samples import Sample, measure_similarity, trim
from tests.search.stored import draw_vectors


@pytest.mark.parametrize("length", [1e-3, 1, 1e6, 1e15])
@pytest.mark.parametrize("metric", ["cosine", "inner_product", "l2"])
def test_a_sample_scores_as_the_search_does_whatever_the_length(metric: Metric, length: float) -> None:
    """Half precision ends at 65,504."""
    vectors, question = (draw_vectors(1, 50) * length).astype(np.float32), draw_vectors(2, 1)[0]
    sample = Sample(trim(list(vectors)), 50, 0)
    assert sample.vectors.shape == (50, 64)
    wide = vectors.astype(np.float64)
    products, distances = wide @ question, np.linalg.norm(wide - question, axis=1)
    wanted = {
        "cosine": products / np.linalg.norm(wide, axis=1),
        "inner_product": products,
        "l2": 1 / (1 + distances),
    }
    np.testing.assert_allclose(measure_similarity(sample, question, metric), wanted[metric], rtol=2e-3, atol=2e-3)


def test_a_sample_of_nothing_says_nothing() -> None:
    sample = Sample(trim([]), 0, 0)
    assert measure_similarity(sample, draw_vectors(1, 1)[0], "cosine").shape == (0,)
