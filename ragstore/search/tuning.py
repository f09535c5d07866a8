"""What an operator can set about searching, for the whole service."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """`candidates` are scored exactly, at least, or half as many of each kind where words are searched: nDCG@10 of
    five sets is the same. Words are looked up until they are in `text_candidates` passages.
    """

    candidates: int = 200
    text_candidates: int = 3000
    k1: float = 1.5
    b: float = 0.7

    def choose_candidates(self, *, words: bool) -> int:
        return max(1, self.candidates // 2) if words else self.candidates
