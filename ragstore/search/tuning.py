"""What an operator can set about searching, for the whole service."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """`candidates` of each kind are scored exactly, at least; words are looked up until they are in
    `text_candidates` passages.
    """

    candidates: int = 200
    text_candidates: int = 3000
    k1: float = 1.5
    b: float = 0.7
