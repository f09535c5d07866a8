"""Puts the best hits into a reranker's order, and keeps the order there was when it cannot."""

from collections.abc import Sequence

from ragstore.errors import RerankerUnavailable
from ragstore.reranking.reranker import Reranker
from ragstore.search.ranking import Ranked


async def rerank(
    reranker: Reranker, query: str, ranked: Sequence[Ranked], texts: Sequence[str]
) -> tuple[list[Ranked], str | None]:
    """All of them, in the new order; or as they were, with a sentence that says why."""
    try:
        found = await reranker.rerank(query, texts)
    except RerankerUnavailable as error:
        return list(ranked), f"Not reranked: {error.detail}"
    for one, score in zip(ranked, found.scores, strict=True):
        one.rerank_score = score
    return [ranked[place] for place in found.order], None
