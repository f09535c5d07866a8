"""What a reranker is to the rest of the service."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Reranking:
    """`order` holds every index of the texts exactly once, best first; `scores` stand at the indices of the texts.

    Equal scores keep the order of the texts. Texts without a score (None) follow all others, in the order given.
    """

    order: list[int]
    scores: list[float | None]


class Reranker(Protocol):
    @property
    def candidates(self) -> int:
        """How many of the best hits are worth sending."""
        ...

    async def rerank(self, query: str, texts: Sequence[str]) -> Reranking:
        """Raises RerankerUnavailable, whose detail holds no key, no text and no address: the caller may show it.

        Scores are the model's own: comparable within one answer only, on any scale.
        """
        ...

    async def close(self) -> None: ...


def order_by_score(scores: list[float | None]) -> Reranking:
    def rank(index: int) -> tuple[bool, float]:
        score = scores[index]
        return (True, 0.0) if score is None else (False, -score)

    return Reranking(sorted(range(len(scores)), key=rank), scores)
