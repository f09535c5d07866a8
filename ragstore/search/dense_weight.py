"""How much the dense score counts in one hybrid search. Pure.

One cosine deviation above the collection's usual counts as much as `scale` times the best BM25 score. So a question
on which the model is sharp (the best passages stand far out) gets more dense weight than one on which all passages
look alike, and the rule is the same for a model whose unrelated texts score .12 and for one where they score .69:
nothing changes when every cosine is multiplied by a positive number or a constant is added.

`docs/retrieval.md` has the figures behind the constants.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragstore.embedding.local import MODEL as LOCAL_MODEL

Floats = NDArray[np.float64]

AGREEMENT_PASSAGES = 10
FEWEST_CANDIDATES = 20  # below, a mean and a deviation say little
SMALLEST_DEVIATION = 1e-9  # float32 cosines that differ by less are equal


@dataclass(frozen=True)
class ModelTrust:
    """`scale`: BM25's best score = 1, what one deviation of the cosine is worth. `agreement`: the agreement (see
    `measure_agreement`) from which the model is believed in full; 0 believes it always.
    """

    scale: float
    agreement: float = 0


# A local model knows some languages only by their alphabet, so it has to agree with BM25 to be heard. Provider models
# are stronger than BM25 on most public sets and must be heard where no word matches, as across languages.
UNKNOWN_MODEL = ModelTrust(0.15)
TRUST = {
    LOCAL_MODEL: ModelTrust(0.10, agreement=0.3),
    "text-embedding-ada-002": ModelTrust(0.15),
    "text-embedding-3-small": ModelTrust(0.20),
    "text-embedding-3-large": ModelTrust(0.25),
}


@dataclass(frozen=True)
class Background:
    """Mean and standard deviation of the query's cosine over passages that were not chosen for their cosine."""

    mean: float
    deviation: float


def find_trust(model: str) -> ModelTrust:
    """By the model's name, with or without the vendor some gateways put before a slash."""
    return TRUST.get(model.rsplit("/", 1)[-1], UNKNOWN_MODEL)


def describe_background(cosines: Floats) -> Background:
    """Of a random sample of the collection (256 are enough); (0, 0) for no cosine at all."""
    if not cosines.size:
        return Background(0, 0)
    return Background(float(cosines.mean()), float(cosines.std()))


def describe_candidates(dense: Floats, in_lexical: NDArray[np.bool_]) -> Background:
    """Where no sample is at hand: of the lexical candidates' cosines, or of all when those are fewer than 20."""
    chosen = dense[in_lexical]
    return describe_background(chosen if chosen.size >= FEWEST_CANDIDATES else dense)


def weigh_dense(lexical: Floats, dense: Floats, model: str, background: Background | None = None) -> float:
    """The weight in [0, 1] of the dense scores, scaled to [0, 1] by their least and greatest, against BM25 scores
    divided by their greatest. 1 where no passage has a word of the query, 0 where all cosines are equal.

    With s = scale × (greatest - least cosine) / deviation, it is s / (1 + s). `background` is that of all passages
    given when absent, which is right when they are the whole collection.
    """
    if not dense.size:
        return 0.0
    if not lexical.any():
        return 1.0
    around = background or describe_background(dense)
    if around.deviation < SMALLEST_DEVIATION:
        return 0.0
    trust = find_trust(model)
    strength = trust.scale * float(np.ptp(dense)) / around.deviation
    if trust.agreement:
        strength *= min(measure_agreement(lexical, dense, around.mean) / trust.agreement, 1.0)
    return strength / (1 + strength)


def measure_agreement(lexical: Floats, dense: Floats, mean: float) -> float:
    """How far the ten best passages by BM25 lie above `mean` in cosine, as a share of what the ten best by cosine do:
    1 is the same ten, 0 is no better than any passage. It is 1 where fewer than ten have a word of the query: too few
    to tell.
    """
    if np.count_nonzero(lexical) < AGREEMENT_PASSAGES:
        return 1.0
    best_lexical = np.lexsort((-dense, -lexical))[:AGREEMENT_PASSAGES]  # which of equals is best, BM25 cannot say
    reached = float(dense[best_lexical].mean()) - mean
    attainable = float(np.sort(dense)[-AGREEMENT_PASSAGES:].mean()) - mean
    if attainable < SMALLEST_DEVIATION:
        return 1.0
    return min(max(reached / attainable, 0.0), 1.0)
