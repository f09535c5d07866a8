"""From the candidates of all collections to one ranked list. Pure."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ragstore.embedding.provider import to_unit_length
from ragstore.search.diversity import choose_diverse
from ragstore.search.pool import Pool
from ragstore.search.schemas import SearchRequest


@dataclass
class Ranked:
    """A passage in its place. `place` is the collection's among those that were asked."""

    chunk_id: uuid.UUID
    document_id: uuid.UUID | None
    place: int
    score: float
    vector_score: float | None = None
    text_score: float | None = None
    rerank_score: float | None = None
    first: bool = True  # of its document, when documents are grouped


@dataclass(frozen=True)
class Unwanted:
    """What the question was an example of."""

    chunk_ids: frozenset[uuid.UUID] = frozenset()
    document_ids: frozenset[uuid.UUID] = frozenset()


def order_pools(pools: Sequence[Pool], scores: Sequence[NDArray[np.float64]], *, with_words: bool) -> list[Ranked]:
    """Best first; of equal scores the nearer one, then by chunk id."""
    ranked = [
        Ranked(chunk_id, document_id, place, score, to_score(similarity), text_score if with_words else None)
        for place, (pool, pool_scores) in enumerate(zip(pools, scores, strict=True))
        for chunk_id, document_id, score, similarity, text_score in zip(
            pool.chunk_ids,
            pool.document_ids,
            pool_scores.tolist(),
            pool.similarity.tolist(),
            pool.text_scores.tolist(),
            strict=True,
        )
    ]
    ranked.sort(key=lambda one: (-one.score, -(one.vector_score or 0.0), one.chunk_id.bytes))
    return ranked


def to_score(similarity: float) -> float | None:
    return None if similarity != similarity else similarity


def leave_out(ranked: Sequence[Ranked], min_score: float | None) -> list[Ranked]:
    return [one for one in ranked if min_score is None or one.score >= min_score]


def leave_unwanted_out(pool: Pool, unwanted: Unwanted) -> Pool:
    """Before scores are made: what is not shown is no measure for what is."""
    if not unwanted.chunk_ids and not unwanted.document_ids:
        return pool
    kept = [
        place
        for place, (chunk_id, document_id) in enumerate(zip(pool.chunk_ids, pool.document_ids, strict=True))
        if chunk_id not in unwanted.chunk_ids and document_id not in unwanted.document_ids
    ]
    return replace(
        pool,
        chunk_ids=[pool.chunk_ids[place] for place in kept],
        document_ids=[pool.document_ids[place] for place in kept],
        near=pool.near[kept],
        worded=pool.worded[kept],
        similarity=pool.similarity[kept],
        text_scores=pool.text_scores[kept],
    )


def arrange(
    ranked: Sequence[Ranked], wanted: SearchRequest, needed: int, vectors: Mapping[uuid.UUID, NDArray[np.float32]]
) -> list[Ranked]:
    """What is shown of a ranking: diverse if wanted (`vectors` are there then), grouped if wanted, `needed` of it."""
    if not wanted.group_by:
        return diversify(ranked, wanted.diversity, vectors, needed) if wanted.diversity else list(ranked[:needed])
    if wanted.diversity:  # of documents, by their best passages; the others keep their places behind them
        best = choose_for_diversity(ranked, wanted)
        chosen = diversify(best, wanted.diversity, vectors, needed)
        known = {one.chunk_id for one in best}
        ranked = [*chosen, *(one for one in ranked if one.chunk_id not in known)]
    return group_by_document(ranked, needed, wanted.per_group)


def choose_for_diversity(ranked: Sequence[Ranked], wanted: SearchRequest) -> list[Ranked]:
    """Those whose vectors are compared: of documents that are grouped, the best passage."""
    return group_by_document(ranked, len(ranked), 1) if wanted.group_by else list(ranked)


def cut_page(ranked: Sequence[Ranked], count: int) -> tuple[list[Ranked], list[Ranked]]:
    """The first `count`, or of groups so many whole ones, and the rest."""
    firsts = [place for place, one in enumerate(ranked) if one.first]
    end = firsts[count] if count < len(firsts) else len(ranked)
    return list(ranked[:end]), list(ranked[end:])


def diversify(
    ranked: Sequence[Ranked], diversity: float, vectors: Mapping[uuid.UUID, NDArray[np.float32]], count: int
) -> list[Ranked]:
    """`count` of them; those without a vector, which are far down or gone, come last."""
    known = [one for one in ranked if one.chunk_id in vectors]
    unknown = [one for one in ranked if one.chunk_id not in vectors]
    if not known:
        return unknown[:count]
    scores = np.array([one.score if one.rerank_score is None else one.rerank_score for one in known])
    directions = to_unit_length(np.stack([vectors[one.chunk_id] for one in known]))
    return [*(known[place] for place in choose_diverse(scores, directions, diversity, count)), *unknown][:count]


def choose_for_reranking(ranked: Sequence[Ranked], wanted: SearchRequest, needed: int, most: int) -> list[Ranked]:
    """The best `most`, or `needed` if that is more; with the best of as many documents as are needed in groups."""
    if not wanted.group_by:
        return list(ranked[: max(most, needed)])
    first = {one.chunk_id for one in group_by_document(ranked, needed, 1)}
    return [one for place, one in enumerate(ranked) if place < most or one.chunk_id in first]


def group_by_document(ranked: Sequence[Ranked], documents: int, per_document: int) -> list[Ranked]:
    """Documents in the order of their best passage, the passages of each together, best first."""
    groups: dict[uuid.UUID | None, list[Ranked]] = {}
    for one in ranked:
        groups.setdefault(one.document_id, []).append(one)
    arranged = [group[:per_document] for group in list(groups.values())[:documents]]
    for group in arranged:
        for place, one in enumerate(group):
            one.first = place == 0
    return [one for group in arranged for one in group]


def count_documents(ranked: Sequence[Ranked]) -> int:
    return len({one.document_id for one in ranked})
