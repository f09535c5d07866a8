"""Passages with their vectors: written past SQLAlchemy, which would cost more than Postgres takes for the rows."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import col, select

from ragstore.database import AsyncSession, fetch, write
from ragstore.document.tables import Chunk

INSERT_CHUNK = """
INSERT INTO chunk (tenant_id, collection_id, document_id, id, ordinal, content, start_offset, end_offset, token_count,
    metadata, digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
INSERT_EMBEDDING = """
INSERT INTO embedding (tenant_id, collection_id, document_id, chunk_id, model_id, norm, vector, code)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
STORED = """
SELECT c.document_id, c.id, c.ordinal, c.start_offset, c.end_offset, c.metadata, c.digest
FROM chunk c
WHERE c.tenant_id = :tenant_id AND c.document_id = ANY(CAST(:document_ids AS uuid[])) AND c.digest IS NOT NULL
  AND EXISTS (
      SELECT FROM embedding e WHERE e.tenant_id = :tenant_id AND e.chunk_id = c.id AND e.model_id = :model_id
  )
ORDER BY c.document_id, c.ordinal
"""
VECTORS = """
SELECT DISTINCT ON (c.digest) c.digest, e.vector
FROM chunk c JOIN embedding e ON e.tenant_id = :tenant_id AND e.chunk_id = c.id AND e.model_id = :model_id
WHERE c.tenant_id = :tenant_id AND c.id = ANY(CAST(:chunk_ids AS uuid[]))
"""
DELETE = """
WITH gone AS (
    DELETE FROM chunk c
    WHERE c.tenant_id = :tenant_id AND c.document_id = ANY(CAST(:document_ids AS uuid[]))
      AND c.id <> ALL(CAST(:kept AS uuid[]))
    RETURNING 1
)
SELECT count(*) FROM gone
"""
# No two passages of a document have one number, not for a moment: first all that move make room.
MAKE_ROOM = """
UPDATE chunk c SET ordinal = -1 - c.ordinal
FROM unnest(CAST(:ids AS uuid[]), CAST(:ordinals AS integer[])) w (id, ordinal)
WHERE c.tenant_id = :tenant_id AND c.id = w.id AND c.ordinal <> w.ordinal
"""
MOVE = """
UPDATE chunk c SET ordinal = w.ordinal, start_offset = w.start, end_offset = w.finish, metadata = w.metadata::jsonb
FROM unnest(
    CAST(:ids AS uuid[]), CAST(:ordinals AS integer[]), CAST(:starts AS integer[]), CAST(:ends AS integer[]),
    CAST(:metadata AS text[])
) w (id, ordinal, start, finish, metadata)
WHERE c.tenant_id = :tenant_id AND c.id = w.id
"""


async def list_chunks(
    session: AsyncSession, tenant_id: uuid.UUID, document_id: uuid.UUID, after: int | None, limit: int
) -> Sequence[Chunk]:
    statement = (
        select(Chunk)
        .where(col(Chunk.tenant_id) == tenant_id, col(Chunk.document_id) == document_id)
        .order_by(col(Chunk.ordinal))
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(Chunk.ordinal) > after)
    return (await session.exec(statement)).all()


async def find_stored(
    session: AsyncSession, tenant_id: uuid.UUID, model_id: int, document_ids: Sequence[uuid.UUID]
) -> list[Any]:
    """Document, id, ordinal, start, end, metadata and digest of the passages that have a digest and a vector."""
    given = {"tenant_id": tenant_id, "model_id": model_id, "document_ids": list(document_ids)}
    return await fetch(session, STORED, given)


async def find_vectors(
    session: AsyncSession, tenant_id: uuid.UUID, model_id: int, chunk_ids: Sequence[uuid.UUID]
) -> list[Any]:
    """Digest and vector."""
    given = {"tenant_id": tenant_id, "model_id": model_id, "chunk_ids": list(chunk_ids)}
    return await fetch(session, VECTORS, given)


async def insert_chunks(session: AsyncSession, rows: Sequence[Sequence[Any]]) -> None:
    await write(session, INSERT_CHUNK, rows)


async def insert_embeddings(session: AsyncSession, rows: Sequence[Sequence[Any]]) -> None:
    await write(session, INSERT_EMBEDDING, rows)


async def delete_chunks(
    session: AsyncSession, tenant_id: uuid.UUID, document_ids: Sequence[uuid.UUID], kept: Sequence[uuid.UUID]
) -> int:
    """With their embeddings, but for those that are kept; answers how many there were."""
    given = {"tenant_id": tenant_id, "document_ids": list(document_ids), "kept": list(kept)}
    return int((await fetch(session, DELETE, given))[0][0])


async def move_chunks(session: AsyncSession, tenant_id: uuid.UUID, columns: Mapping[str, Sequence[Any]]) -> None:
    """`columns`: ids, ordinals, starts, ends, and metadata as JSON text. After the others are deleted."""
    if columns["ids"]:
        places = {"tenant_id": tenant_id, "ids": columns["ids"], "ordinals": columns["ordinals"]}
        await fetch(session, MAKE_ROOM, places)
        await fetch(session, MOVE, {"tenant_id": tenant_id, **columns})
