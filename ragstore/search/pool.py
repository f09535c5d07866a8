"""The candidates of one collection for one question, with both of their scores. Pure."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.schemas import Metric
from ragstore.search.words import Statistics, Words, score_words


@dataclass(frozen=True)
class Pool:
    """`similarity` is NaN where vectors were not asked for. `found_near` and `found_worded`
    count those with excluded words too. `exhausted`: nothing else matches. `attainable` is the
    BM25 score that no passage can exceed, `usual` the similarities of passages that nothing chose.
    """

    chunk_ids: list[uuid.UUID]
    document_ids: list[uuid.UUID]
    near: NDArray[np.bool_]
    worded: NDArray[np.bool_]
    similarity: NDArray[np.float64]
    text_scores: NDArray[np.float64]
    found_near: int
    found_worded: int
    attainable: float = 0.0
    exhausted: bool = False
    usual: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


def make_pool(rows: Sequence[Any], metric: Metric, words: Words, statistics: Statistics, k1: float, b: float) -> Pool:
    """Rows as `queries.find_pool` gives them. Those with excluded words are counted and left out."""
    found_near, found_worded = sum(row[2] for row in rows), sum(row[3] for row in rows)
    rows = [(*row[:4], *row[5:]) for row in rows if not row[4]]
    chunk_ids, document_ids, near, worded, distances, weights, saturations, lengths = (
        zip(*rows, strict=True) if rows else ((),) * 8
    )
    text_scores = score_words(
        weights,
        np.array([one or 1.0 for one in saturations], dtype=np.float64),
        np.array([one or 0 for one in lengths], dtype=np.float64),
        words,
        statistics,
        k1,
        b,
    )
    return Pool(
        list(chunk_ids),
        list(document_ids),
        np.array(near, dtype=bool),
        np.array(worded, dtype=bool),
        to_similarity(np.array(distances, dtype=np.float64), metric),
        text_scores,
        found_near,
        found_worded,
        float((statistics.idf * words.counts).sum() * (k1 + 1.0)),
    )


def to_similarity(distances: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    """Greater is nearer: the cosine, the inner product, or 1 / (1 + distance)."""
    if metric == "cosine":
        return 1.0 - distances
    if metric == "inner_product":
        return -distances
    return 1.0 / (1.0 + distances)
