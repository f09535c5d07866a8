"""The job that makes an index be as it should: built, built anew after a build was broken off, or gone."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from ragstore.collection.indexing import is_wanted
from ragstore.collection.queries import find_by_id
from ragstore.collection.tables import Collection
from ragstore.database import Database, RawConnection
from ragstore.errors import RagstoreError, Unavailable, Unprocessable
from ragstore.index import queries
from ragstore.index.build import Build, open_connection
from ragstore.index.queries import IndexKey
from ragstore.job.context import JobContext
from ragstore.job.outcomes import RetryLater
from ragstore.sqlstate import translate_database_error

MOST_STEPS = 6
LEAST_MEMORY_MB = 64
LEAST_LIMIT_MB = 512  # Postgres' own default, 64 MB, holds no more than 74,000 chunks
BYTES_PER_CHUNK = 910  # of the graph while it is built in memory: measured, 37,011 fit into 32 MB
MOST_GROWTH = 0.01  # of a collection that is not being filled at this moment


@dataclass(frozen=True)
class BuildOptions:
    threshold: int
    memory_mb: int | None
    workers: int
    poll: float = 1.0
    quiet: float = 0.0  # seconds it watches a collection that may be being filled
    pause: float = 5.0  # seconds until it asks again for a lock that others hold


@dataclass
class IndexHandler:
    """`owner` is a pool of two connections, of the role that owns the tables: one builds, one looks on.

    One build at a time, in this process and in all: Postgres lets two on one table wait for each other anyway.
    """

    owner: Database
    options: BuildOptions
    busy: bool = False

    async def run(self, context: JobContext) -> dict[str, Any]:
        if self.busy:
            raise RetryLater(self.options.pause)
        self.busy = True
        try:
            async with open_connection(self.owner) as connection:
                return await self._settle(context, connection)
        except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise translate_database_error(error) from error
        finally:
            await self.owner.engine.dispose()  # the lock ends with its connection
            self.busy = False

    async def _settle(self, context: JobContext, connection: RawConnection) -> dict[str, Any]:
        """Step by step, each decided by what is there: the collection may change or go at any time."""
        if not await queries.owns_table(connection):
            raise Unprocessable("RAGSTORE_OWNER_DATABASE_URL does not name the owner of the tables.")
        key = read_key(context)
        await self._wait_for_quiet(context, connection, key)
        if not await queries.take_lock(connection):
            raise RetryLater(self.options.pause)
        for _ in range(MOST_STEPS):
            found = await queries.find_own_index(connection, key.name)
            wanted = await self._find_wanted(context, key, present=found is not None)
            if found is not None and found.valid and wanted is not None:
                return {"index": "ready", "bytes": found.bytes}
            if found is not None:
                await context.report(message="dropping the index")
                await queries.drop_index(connection, key.name)
            elif wanted is not None:
                await self._build(context, connection, key, wanted.chunk_count)
            else:
                return {"index": "none"}
        raise Unavailable("The collection's index is wanted and not wanted in turn.", retry_after=self.options.pause)

    async def _wait_for_quiet(self, context: JobContext, connection: RawConnection, key: IndexKey) -> None:
        """While a collection is being filled, a row costs an index that is there many times what it costs a build."""
        if not self.options.quiet or await queries.find_own_index(connection, key.name) is not None:
            return
        before = await self._find_wanted(context, key, present=False)
        if before is None or before.index_mode != "auto":
            return
        await asyncio.sleep(self.options.quiet)
        now = await self._find_wanted(context, key, present=False)
        if now is not None and now.chunk_count - before.chunk_count > MOST_GROWTH * before.chunk_count:
            raise RetryLater(self.options.pause)

    async def _find_wanted(self, context: JobContext, key: IndexKey, *, present: bool) -> Collection | None:
        """None when the collection is to have no index, or is gone."""
        async with context.transaction() as session:
            row = await find_by_id(session, key.tenant_id, key.collection_id)
        if row is None or not row.keeps_vectors_of(key.model_id):
            return None
        wanted = is_wanted(row.index_mode, row.chunk_count, self.options.threshold, present=present)
        return row if wanted else None

    async def _build(self, context: JobContext, connection: RawConnection, key: IndexKey, chunks: int) -> None:
        most = self.options.memory_mb or max(LEAST_LIMIT_MB, await queries.read_maintenance_memory(connection))
        await queries.prepare_build(connection, choose_memory(chunks, most), self.options.workers)
        await context.report(done=0, total=chunks, message="initializing")

        async def watch(phase: str, done: int) -> bool:
            try:
                if await self._find_wanted(context, key, present=True) is None:
                    return False
                counted = min(done, chunks) if phase.startswith("building index") else None
                await context.report(done=counted, message=phase)
            except RagstoreError:  # the pool is busy: a build is worth more than one look at it
                return True
            return True

        await Build(self.owner, connection, key, self.options.poll).run(watch)


def read_key(context: JobContext) -> IndexKey:
    payload = context.payload
    return IndexKey(context.job.tenant_id, uuid.UUID(payload["collection_id"]), int(payload["model_id"]))


def choose_memory(chunks: int, most: int) -> int:
    """MB for a build: the graph in memory, with room for what is written meanwhile, but never more than allowed."""
    needed = chunks * BYTES_PER_CHUNK * 5 // 4 // 2**20
    return min(max(needed, LEAST_MEMORY_MB), most)
