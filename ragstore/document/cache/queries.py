import uuid
from collections.abc import Sequence
from typing import Any

from ragstore.database import AsyncSession, fetch, write

FIND = """
SELECT x.digest, x.vector FROM embedding_cache x
WHERE x.tenant_id = :tenant_id AND x.model_id = :model_id AND x.digest = ANY(CAST(:digests AS bytea[]))
"""
INSERT = """
INSERT INTO embedding_cache (tenant_id, model_id, digest, vector) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""


async def find_cached(
    session: AsyncSession, tenant_id: uuid.UUID, model_id: int, digests: Sequence[bytes]
) -> list[Any]:
    """Digest and vector."""
    return await fetch(session, FIND, {"tenant_id": tenant_id, "model_id": model_id, "digests": list(digests)})


async def insert_cached(session: AsyncSession, rows: Sequence[Sequence[Any]]) -> None:
    """In the order of their digests, as everybody does: writers of the same texts then wait instead of deadlocking."""
    await write(session, INSERT, sorted(rows, key=lambda row: bytes(row[2])))
