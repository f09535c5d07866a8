"""Ranked passages to what a client sees of them."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ragstore.collection.service import CollectionHandle
from ragstore.database import AnySession
from ragstore.lexical.analysis import get_analyzer
from ragstore.lexical.highlighting import find_matches
from ragstore.lexical.query import parse_query
from ragstore.search import queries
from ragstore.search.ranking import Ranked
from ragstore.search.schemas import Hit, Neighbor, Scores, SearchRequest


def to_hit(row: Any, collection: str) -> Hit:
    """A row of `queries.find_nearest` or `queries.read_passages`."""
    return Hit(*(*row[:12], collection))


async def read_hits(
    session: AnySession,
    tenant_id: uuid.UUID,
    handles: Sequence[CollectionHandle],
    ranked: Sequence[Ranked],
    wanted: SearchRequest,
) -> list[Hit]:
    """In the order of `ranked`, but for passages that are gone by now. With content, whatever is to be included."""
    if not ranked:
        return []
    rows = await queries.read_passages(
        session,
        tenant_id,
        [handle.id for handle in handles],
        [one.chunk_id for one in ranked],
        with_vectors="vector" in wanted.include,
    )
    by_id = {row[2]: row for row in rows}
    hits = []
    for one in ranked:
        row = by_id.get(one.chunk_id)
        if row is None:
            continue
        hit = set_scores(to_hit(row, handles[one.place].name), one, wanted)
        if "vector" in wanted.include and row[12] is not None:
            hit.vector = row[12].tolist()
        hits.append(hit)
    return hits


def set_scores(hit: Hit, one: Ranked, wanted: SearchRequest) -> Hit:
    hit.score = one.score if one.rerank_score is None else one.rerank_score
    if "scores" in wanted.include:
        hit.scores = Scores(one.vector_score, one.text_score, one.rerank_score)
    return hit


def with_title(hit: Hit) -> str:
    return f"{hit.title}\n\n{hit.content}" if hit.title else str(hit.content)


async def add_neighbors(session: AnySession, tenant_id: uuid.UUID, hits: Sequence[Hit], around: int) -> None:
    if not hits:
        return
    for hit in hits:
        hit.neighbors = []
    rows = await queries.read_neighbors(session, tenant_id, [(hit.document_id, hit.ordinal) for hit in hits], around)
    for place, *fields in rows:
        found = hits[place - 1].neighbors
        assert isinstance(found, list)  # noqa: S101  # set above
        found.append(Neighbor(*fields))


def add_highlights(hits: Sequence[Hit], text: str | None, languages: Mapping[str, str]) -> None:
    """The words of the query in each hit's content, by the language of its collection."""
    queries_by_language = {
        language: parse_query(text or "", get_analyzer(language)) for language in set(languages.values())
    }
    for hit in hits:
        language = languages[hit.collection]
        query = queries_by_language[language]
        hit.highlights = find_matches(hit.content, query.terms, get_analyzer(language), query.phrases)


def leave_parts_out(hits: Sequence[Hit], wanted: SearchRequest) -> None:
    for hit in hits:
        if "content" not in wanted.include:
            hit.content = ""
        if "metadata" not in wanted.include:
            hit.metadata = {}
