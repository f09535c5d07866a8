import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from ragstore.database import AsyncSession

# In the order of the keys, as everybody locks them.
ACCEPT = text("""
    INSERT INTO accepted_key (tenant_id, collection_id, key, job_id)
    SELECT :tenant_id, :collection_id, k.key, :job_id FROM unnest(CAST(:keys AS text[])) k(key)
    ORDER BY k.key COLLATE "C"
    ON CONFLICT (tenant_id, collection_id, key) DO UPDATE SET job_id = excluded.job_id
""")
FIND = text("""
    SELECT key FROM accepted_key
    WHERE tenant_id = :tenant_id AND collection_id = :collection_id AND key = ANY(CAST(:keys AS text[]))
      AND job_id = :job_id
""")
TAKE = text("""
    DELETE FROM accepted_key a USING (
        SELECT b.key FROM accepted_key b
        WHERE b.tenant_id = :tenant_id AND b.collection_id = :collection_id AND b.key = ANY(CAST(:keys AS text[]))
          AND (CAST(:job_id AS uuid) IS NULL OR b.job_id = CAST(:job_id AS uuid))
        ORDER BY b.key FOR UPDATE
    ) mine
    WHERE a.tenant_id = :tenant_id AND a.collection_id = :collection_id AND a.key = mine.key
    RETURNING a.key
""")


async def accept(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    collection_id: uuid.UUID,
    keys: Sequence[str],
    job_id: uuid.UUID,
) -> None:
    """Whoever accepted one of them before has lost it."""
    await (await session.connection()).execute(ACCEPT, to_parameters(tenant_id, collection_id, keys, job_id))


async def find(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, keys: Sequence[str], job_id: uuid.UUID
) -> set[str]:
    """Those that are still the job's."""
    given = to_parameters(tenant_id, collection_id, keys, job_id)
    return set((await (await session.connection()).scalars(FIND, given)).all())


async def take(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    collection_id: uuid.UUID,
    keys: Sequence[str],
    job_id: uuid.UUID | None,
) -> set[str]:
    """Forget that they were accepted: by this job, or with None by any. Answers which were."""
    given = to_parameters(tenant_id, collection_id, keys, job_id)
    return set((await (await session.connection()).scalars(TAKE, given)).all())


def to_parameters(
    tenant_id: uuid.UUID, collection_id: uuid.UUID, keys: Sequence[str], job_id: uuid.UUID | None
) -> dict[str, Any]:
    return {"tenant_id": tenant_id, "collection_id": collection_id, "keys": list(keys), "job_id": job_id}
