import uuid
from typing import Any

from sqlalchemy import Row, text

from ragstore.database import AsyncSession

JOBS = text("""
    SELECT count(*) FILTER (WHERE state = 'queued') AS queued,
           count(*) FILTER (WHERE state = 'running') AS running,
           count(*) FILTER (WHERE state = 'failed' AND finished_at > now() - interval '1 day') AS failed,
           coalesce(extract(epoch FROM now() - min(run_at) FILTER (WHERE state = 'queued')), 0)::float8 AS waiting
    FROM job WHERE tenant_id = :tenant_id
""")
VACUUM = text("""
    SELECT coalesce(sum(n_live_tup), 0)::bigint AS rows,
           coalesce(sum(n_dead_tup + n_ins_since_vacuum), 0)::bigint AS untidy,
           max(greatest(last_vacuum, last_autovacuum)) AS vacuumed_at
    FROM pg_stat_user_tables WHERE relid = 'public.embedding'::regclass
""")
LAST_VACUUM = text("""
    SELECT result->>'vacuumed' = 'false' FROM job
    WHERE tenant_id = :tenant_id AND kind = :kind AND state = 'succeeded'
    ORDER BY finished_at DESC LIMIT 1
""")
UNFOLDED = text("""
    SELECT k.name, count(*) FROM term_change x
    JOIN collection k ON k.tenant_id = x.tenant_id AND k.id = x.collection_id
    WHERE x.tenant_id = :tenant_id GROUP BY k.name ORDER BY k.name
""")


async def count_jobs(session: AsyncSession, tenant_id: uuid.UUID) -> Row[Any]:
    """queued, running, failed, waiting (seconds the longest is due, negative before)."""
    return (await (await session.connection()).execute(JOBS, {"tenant_id": tenant_id})).one()


async def read_vacuum(session: AsyncSession) -> Row[Any]:
    """rows, untidy, vacuumed_at."""
    return (await (await session.connection()).execute(VACUUM)).one()


async def was_refused(session: AsyncSession, tenant_id: uuid.UUID, kind: str) -> bool:
    """Whether the last vacuum did nothing."""
    found = await (await session.connection()).execute(LAST_VACUUM, {"tenant_id": tenant_id, "kind": kind})
    return bool(found.scalar_one_or_none())


async def count_unfolded(session: AsyncSession, tenant_id: uuid.UUID) -> dict[str, int]:
    """By the name of the collection."""
    rows = (await (await session.connection()).execute(UNFOLDED, {"tenant_id": tenant_id})).all()
    return {name: count for name, count in rows}
