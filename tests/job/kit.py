"""Workers, jobs and a table of effects, for tests in this process and in others."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row

from ragstore.database import Database
from ragstore.job.context import ClaimedJob, FencedDatabase, Handler, JobContext
from ragstore.job.listener import Listener
from ragstore.job.queries import claim
from ragstore.job.service import enqueue
from ragstore.job.worker import Worker, WorkerOptions
from ragstore.settings import Settings

EFFECTS = """
    CREATE TABLE effect (job uuid, step integer, attempt integer, at timestamptz DEFAULT clock_timestamp());
    GRANT ALL ON effect TO ragstore_app
"""


def connect(url: str) -> Database:
    """As the service connects."""
    settings = Settings.model_validate({"database_url": url})
    return Database.connect(url, settings, role=settings.app_role)


@dataclass
class Queue:
    """One tenant's jobs, and any number of workers."""

    url: str
    app: Database
    owner: Database
    tenant_id: uuid.UUID

    async def add(self, kind: str = "work", payload: Mapping[str, Any] | None = None, **values: Any) -> uuid.UUID:
        async with self.app.transaction(self.tenant_id) as session:
            return await enqueue(session, self.tenant_id, kind, payload, **values)

    async def claim(self, most: int = 1, *, lease: float = 30, kinds: tuple[str, ...] = ("work",)) -> list[ClaimedJob]:
        async with self.app.transaction() as session:
            rows = await claim(session, kinds, uuid.uuid4().hex, lease, most)
        return [ClaimedJob(*tuple(row)) for row in rows]

    def context(self, job: ClaimedJob, lease: float = 30) -> JobContext:
        return JobContext(job, FencedDatabase(self.app, job.tenant_id, job, lease, 5))

    async def ask(self, statement: str, **given: Any) -> list[Row[Any]]:
        async with self.owner.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            result = await connection.execute(text(statement), given)
            return list(result.all()) if result.returns_rows else []

    async def row(self, job_id: uuid.UUID) -> Row[Any]:
        return (await self.ask("SELECT * FROM job WHERE id = :id", id=job_id))[0]

    async def wait_for(self, job_id: uuid.UUID, *states: str, seconds: float = 10) -> Row[Any]:
        async def there() -> bool:
            return (await self.row(job_id)).state in states

        await wait_until(there, seconds)
        return await self.row(job_id)

    @asynccontextmanager
    async def working(self, patience: float = 5, **values: Any) -> AsyncIterator[Worker]:
        handlers: dict[str, Handler] = values.pop("handlers")
        worker = Worker(self.app, Listener(connect(self.url)), handlers, WorkerOptions(**values))
        worker.start()
        try:
            yield worker
        finally:
            await worker.stop(patience)


async def wait_until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


async def leave_effect(context: JobContext, session: Any, step: int) -> None:
    given = {"job": context.job.id, "step": step, "attempt": context.job.attempt}
    connection = await session.connection()
    await connection.execute(text("INSERT INTO effect VALUES (:job, :step, :attempt)"), given)


async def count_effects(context: JobContext, session: Any, step: int) -> int:
    connection = await session.connection()
    given = {"job": context.job.id, "step": step}
    found = await connection.execute(text("SELECT count(*) FROM effect WHERE job = :job AND step = :step"), given)
    return int(found.scalar_one())
