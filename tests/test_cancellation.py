"""A connection whose BEGIN was cancelled never goes back to the pool with somebody's tenant set."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from ragstore.columns import new_id
from ragstore.database import Database
from tests.conftest import ROLES, make_settings

DELAY = 0.3


class SlowAnswers:
    """A proxy before Postgres that holds its answers back once `slow` is set."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.slow = False
        self.tasks: set[asyncio.Task[None]] = set()
        self.writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self.url.query.get("host", self.url.host), self.url.query.get("port", self.url.port)
        if str(host).startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port or 5432}")
        return await asyncio.open_connection(str(host), int(str(port or 5432)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await self.connect()
        self.writers += [writer, server_writer]
        for source, target, delayed in ((reader, server_writer, False), (server_reader, writer, True)):
            task = asyncio.create_task(self.pump(source, target, delayed=delayed))
            self.tasks.add(task)

    async def pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, delayed: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65536):
                if delayed and self.slow:
                    await asyncio.sleep(DELAY)
                target.write(chunk)
                await target.drain()
        target.close()


@pytest.fixture
async def proxy(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[SlowAnswers, str]]:
    folder = Path(tmp_path_factory.mktemp("p"))
    slow = SlowAnswers(database_url)
    server = await asyncio.start_unix_server(slow.serve, folder / ".s.PGSQL.5432")
    url = slow.url.set(host=None, port=None, query={"host": str(folder), "port": "5432"})
    yield slow, url.render_as_string(hide_password=False)
    server.close()
    for task in slow.tasks:
        task.cancel()
    await asyncio.gather(*slow.tasks, return_exceptions=True)
    for writer in slow.writers:  # left to the collector they would warn in some later test
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("patience", [0.05, 0.15, 0.25, 0.35, 0.45])
async def test_a_begin_that_was_cancelled_leaves_no_tenant_behind(
    proxy: tuple[SlowAnswers, str], patience: float
) -> None:
    slow, url = proxy
    database = Database.connect(url, make_settings(url), role=ROLES.app)
    async with database.transaction():
        pass  # one connection is open

    async def work() -> None:
        async with database.transaction(new_id()):
            pass

    slow.slow = True
    working = asyncio.create_task(work())
    await asyncio.sleep(patience)  # the answer to BEGIN comes after 0.3 s, the one to COMMIT after 0.6 s
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    slow.slow = False
    async with database.transaction() as session:
        connection = await session.connection()
        statement = text("SELECT now(), clock_timestamp(), nullif(current_setting('app.tenant', true), '')")
        started, now, tenant = (await connection.execute(statement)).one()
    assert tenant is None
    assert (now - started).total_seconds() < 0.25  # a transaction of its own, not one that was left open
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a queue pool
    await database.close()
