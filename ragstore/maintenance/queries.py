from datetime import timedelta

from sqlalchemy import Interval, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

from ragstore.database import AsyncSession
from ragstore.document.tidying import UPKEEP_LOCK

VACUUMED = text("""
    SELECT pg_has_role(current_user, c.relowner, 'USAGE') AS may,
           coalesce(s.n_mod_since_analyze, 0) >= greatest(500, c.reltuples / 20) AS analyze
    FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid WHERE c.oid = 'public.embedding'::regclass
""")
TRY_LOCK = text("SELECT pg_try_advisory_lock(:lock)")
UNTIDY = text("""
    SELECT coalesce(sum(n_dead_tup + n_ins_since_vacuum), 0) FROM pg_stat_user_tables
    WHERE relid = 'public.embedding'::regclass
""")
# One function for each, of all tenants.
SWEEPS = {
    name: text(f"SELECT ragstore_sweep_{table}(:older, :most)").bindparams(bindparam("older", type_=Interval))
    for name, table in {
        "chat_sessions": "chat_session",
        "api_keys": "api_key",
        "jobs": "job",
        "embedding_cache": "embedding_cache",
        "idempotency_records": "idempotency_record",
        "files": "file",
        "accepted_keys": "accepted_key",
        "import_positions": "import_position",
    }.items()
}


async def vacuum_embeddings(engine: AsyncEngine) -> bool | None:
    """Outside any transaction, as VACUUM must be; counts the rows anew when many have changed. False when this role
    does not own the table: Postgres would only warn. None while an index is being built. The lock ends with the
    connection.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        may, analyze = (await connection.execute(VACUUMED)).one()
        if may and not (await connection.execute(TRY_LOCK, {"lock": UPKEEP_LOCK})).scalar_one():
            return None
        if may:
            await connection.execute(text(f"VACUUM (ANALYZE {bool(analyze)}) public.embedding"))
    return bool(may)


async def count_untidy_rows(session: AsyncSession) -> int:
    """Embeddings written or deleted since the last vacuum, as Postgres estimates."""
    return int((await (await session.connection()).execute(UNTIDY)).scalar_one())


async def sweep(session: AsyncSession, name: str, older: timedelta, most: int) -> int:
    """How many rows were deleted; `most` when there may be more."""
    done = await (await session.connection()).execute(SWEEPS[name], {"older": older, "most": most})
    return int(done.scalar_one())
