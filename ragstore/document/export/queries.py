import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from ragstore.database import AsyncSession, fetch
from ragstore.document.filter_sql import compile_filter
from ragstore.document.filters import Filter
from ragstore.document.queries import plan_for_values

LAST = """
    SELECT d.id FROM document d WHERE d.tenant_id = :tenant_id AND d.collection_id = :collection_id
    ORDER BY d.id DESC LIMIT 1
"""
DOCUMENTS = """
    SELECT d.id, d.key, d.title, d.source, d.url, CAST(d.metadata AS text) AS metadata, d.content, d.created_at
    FROM document d
    WHERE d.tenant_id = :tenant_id AND d.id = ANY(CAST(:ids AS uuid[])) ORDER BY d.id
"""
CHUNKS = """
    SELECT c.document_id, c.content, c.start_offset, c.end_offset, CAST(c.metadata AS text) AS metadata, e.vector
    FROM chunk c
    LEFT JOIN embedding e ON e.tenant_id = c.tenant_id AND e.chunk_id = c.id AND e.model_id = :model_id
    WHERE c.tenant_id = :tenant_id AND c.document_id = ANY(CAST(:ids AS uuid[])) ORDER BY c.document_id, c.ordinal
"""
CHUNKS_ALONE = """
    SELECT c.document_id, c.content, c.start_offset, c.end_offset, CAST(c.metadata AS text) AS metadata FROM chunk c
    WHERE c.tenant_id = :tenant_id AND c.document_id = ANY(CAST(:ids AS uuid[])) ORDER BY c.document_id, c.ordinal
"""


@dataclass(frozen=True)
class Place:
    """A stretch of a collection's documents, in the order they were first stored."""

    tenant_id: uuid.UUID
    collection_id: uuid.UUID
    after: uuid.UUID | None
    until: uuid.UUID


async def find_last(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID) -> uuid.UUID | None:
    rows = await fetch(session, LAST, {"tenant_id": tenant_id, "collection_id": collection_id})
    return rows[0]["id"] if rows else None


async def list_sizes(
    session: AsyncSession, place: Place, condition: Filter | None, limit: int
) -> Sequence[tuple[uuid.UUID, int, int]]:
    """Id, bytes of content as stored, and number of chunks of the next documents."""
    sql, parameters = compile_filter(condition)
    after = "AND d.id > :after" if place.after is not None else ""
    statement = text(f"""
        SELECT d.id, pg_column_size(d.content), d.chunk_count FROM document d
        WHERE d.tenant_id = :tenant_id AND d.collection_id = :collection_id AND d.id <= :until {after} AND {sql}
        ORDER BY d.id LIMIT :limit
    """)  # noqa: S608  # the filter names its values as parameters
    if condition is not None:
        await plan_for_values(session)
    given = vars(place) | parameters | {"limit": limit}
    if place.after is None:
        del given["after"]
    rows = (await (await session.connection()).execute(statement, given)).all()
    return [(row[0], row[1], row[2]) for row in rows]


async def read_documents(session: AsyncSession, tenant_id: uuid.UUID, ids: Sequence[uuid.UUID]) -> list[Any]:
    return await fetch(session, DOCUMENTS, {"tenant_id": tenant_id, "ids": ids})


async def read_chunks(
    session: AsyncSession, tenant_id: uuid.UUID, ids: Sequence[uuid.UUID], model_id: int | None
) -> list[Any]:
    """With the vectors of a model, or without."""
    if model_id is None:
        return await fetch(session, CHUNKS_ALONE, {"tenant_id": tenant_id, "ids": ids})
    return await fetch(session, CHUNKS, {"tenant_id": tenant_id, "ids": ids, "model_id": model_id})
