"""The part of BM25 that is kept with a passage: how quickly its term frequencies saturate. Pure."""

from ragstore.lexical.bm25 import K1, B


def saturate(length: int, mean_length: float) -> float:
    """k1 · (1 - b + b · length / mean length): the frequency at which a term has half of its greatest weight.

    By the defaults, whatever the service's settings: it only chooses the passages that are then scored exactly.
    """
    return K1 * (1.0 - B + B * length / mean_length)
