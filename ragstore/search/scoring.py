"""One score for each candidate, whatever the mode. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.schemas import Metric
from ragstore.search.dense_weight import FEWEST_CANDIDATES, Background, describe_background, describe_candidates
from ragstore.search.fusion import combine, fuse_ranks
from ragstore.search.pool import Pool
from ragstore.search.schemas import Fusion, Mode

Scores = NDArray[np.float64]
Kind = tuple[str, Metric]  # the model and the metric: similarities of two kinds do not compare
MIXED = "mixed"  # no model has this name: a fusion over several gets the trust of an unknown one


def score_pools(
    pools: Sequence[Pool], kinds: Sequence[Kind], mode: Mode, fusion: Fusion
) -> tuple[list[Scores], float | None]:
    """By pool, in the order of its candidates; with the share that the vectors had in mode hybrid."""
    if mode == "text":
        return [pool.text_scores for pool in pools], None
    if mode == "vector":
        return make_comparable(pools, kinds), None
    words = np.concatenate([pool.text_scores for pool in pools])
    similarity = np.concatenate(make_comparable(pools, kinds))
    near = np.concatenate([pool.near for pool in pools])
    worded = np.concatenate([pool.worded for pool in pools])
    ends = np.cumsum([len(pool.chunk_ids) for pool in pools])[:-1]
    if fusion.method == "rrf":
        rankings = [rank(similarity, near), rank(words, worded)]
        return np.split(fuse_ranks(rankings, len(words)), ends), None
    model = kinds[0][0] if len(set(kinds)) == 1 else MIXED
    background = describe_usual(pools, model) or describe_candidates(similarity, worded)
    fused = combine(words, similarity, model=model, background=background, weight=fusion.vector_weight)
    return np.split(fused.scores, ends), fused.weight


def describe_usual(pools: Sequence[Pool], model: str) -> Background | None:
    usual = np.concatenate([pool.usual for pool in pools])
    return describe_background(usual) if len(usual) >= FEWEST_CANDIDATES and model != MIXED else None


def make_comparable(pools: Sequence[Pool], kinds: Sequence[Kind]) -> list[Scores]:
    """Similarities of one kind as they are; those of several as standard deviations above their pool's mean."""
    if len(set(kinds)) == 1:
        return [pool.similarity for pool in pools]
    return [standardise(pool.similarity) for pool in pools]


def standardise(scores: Scores) -> Scores:
    if not len(scores):
        return scores
    deviation = float(scores.std())
    return (scores - scores.mean()) / deviation if deviation > 0 else np.zeros_like(scores)


def rank(scores: Scores, listed: NDArray[np.bool_]) -> NDArray[np.intp]:
    places = np.flatnonzero(listed)
    return places[np.argsort(-scores[places], kind="stable")]
