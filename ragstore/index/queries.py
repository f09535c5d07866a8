import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Uuid, text

from ragstore.collection.indexing import INDEX, dedupe_key, name_index
from ragstore.database import AsyncSession, RawConnection
from ragstore.document.tidying import UPKEEP_LOCK

LOOK_SECONDS = 5  # a build whose worker has vanished ends so soon
FIND = """
    SELECT i.indisvalid AS valid, pg_relation_size(c.oid) AS bytes
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = 'public.embedding'::regclass AND c.relname = $1
"""
OWNS = "SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = 'public.embedding'::regclass"
PROGRESS = "SELECT phase, tuples_done AS done FROM pg_stat_progress_create_index WHERE pid = $1"
LIVE_JOB = text("""
    SELECT id, state, counts, message FROM (
        SELECT * FROM job WHERE tenant_id = :tenant_id AND kind = :kind AND dedupe_key = :key AND state = 'running'
        UNION ALL
        SELECT * FROM job WHERE tenant_id = :tenant_id AND kind = :kind AND dedupe_key = :key AND state = 'queued'
    ) live ORDER BY state = 'running' DESC, id LIMIT 1
""")
LIST_WORK = text("SELECT tenant_id, collection_id, model_id FROM ragstore_list_index_work(:threshold)").columns(
    tenant_id=Uuid, collection_id=Uuid
)


@dataclass(frozen=True)
class IndexKey:
    """Whose codes an index holds: the passages of one collection with one model."""

    tenant_id: uuid.UUID
    collection_id: uuid.UUID
    model_id: int

    @property
    def name(self) -> str:
        return name_index(self.tenant_id, self.collection_id, self.model_id)


@dataclass(frozen=True)
class FoundIndex:
    valid: bool
    bytes: int


async def find_index(session: AsyncSession, name: str) -> FoundIndex | None:
    """As the catalogue has it, which everybody may read."""
    found = (await (await session.connection()).exec_driver_sql(FIND, (name,))).one_or_none()
    return None if found is None else FoundIndex(found.valid, found.bytes or 0)


async def find_live_job(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, model_id: int
) -> Row[Any] | None:
    """The job that works on the index, or else the one that waits."""
    given = {"tenant_id": tenant_id, "kind": INDEX, "key": dedupe_key(collection_id, model_id)}
    return (await (await session.connection()).execute(LIVE_JOB, given)).one_or_none()


async def list_work(session: AsyncSession, threshold: int) -> list[IndexKey]:
    """Of all tenants: indexes that should be there and are not, or are there and should not be."""
    rows = await (await session.connection()).execute(LIST_WORK, {"threshold": threshold})
    return [IndexKey(*tuple(row)) for row in rows]


# What follows is done by the owner of the tables, each statement outside any transaction.


async def find_own_index(connection: RawConnection, name: str) -> FoundIndex | None:
    found = await connection.fetchrow(FIND, name)
    return None if found is None else FoundIndex(found["valid"], found["bytes"] or 0)


async def owns_table(connection: RawConnection) -> bool:
    return bool(await connection.fetchval(OWNS))


async def take_lock(connection: RawConnection) -> bool:
    """Until the connection ends."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", UPKEEP_LOCK))


async def read_maintenance_memory(connection: RawConnection) -> int:
    """The server's own limit, in MB."""
    return int(await connection.fetchval("SELECT pg_size_bytes(current_setting('maintenance_work_mem')) / 1048576"))


async def prepare_build(connection: RawConnection, memory_mb: int, workers: int) -> None:
    settings = {
        "maintenance_work_mem": f"{memory_mb}MB",
        "max_parallel_maintenance_workers": str(workers),
        "statement_timeout": "0",
        "lock_timeout": "0",
        "client_connection_check_interval": f"{LOOK_SECONDS}s",
    }
    for name, value in settings.items():
        await connection.fetchval("SELECT set_config($1, $2, false)", name, value)


async def build_index(connection: RawConnection, key: IndexKey) -> None:
    """Takes long; meanwhile others read and write. `ef_construction` 100 in place of pgvector's 64: with a million
    vectors it takes an eighth more time, and finds .982 of the nearest ten where two builds with the other found .954
    and .974 (`ef_search` 200).
    """
    await connection.execute(
        f"CREATE INDEX CONCURRENTLY {key.name} ON public.embedding USING hnsw (code bit_hamming_ops)"
        " WITH (ef_construction = 100)"
        f" WHERE tenant_id = '{key.tenant_id}' AND collection_id = '{key.collection_id}'"
        f" AND model_id = '{key.model_id}'::smallint"
    )


async def drop_index(connection: RawConnection, name: str) -> None:
    await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS public.{name}")


async def read_progress(connection: RawConnection, process_id: int) -> tuple[str, int] | None:
    """Phase, and rows of the index so far."""
    found = await connection.fetchrow(PROGRESS, process_id)
    return None if found is None else (found["phase"], found["done"])


async def cancel_statement(connection: RawConnection, process_id: int) -> None:
    await connection.execute(f"SELECT pg_cancel_backend({int(process_id)})")
