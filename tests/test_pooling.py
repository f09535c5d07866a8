"""Connections beyond the pool's size: kept while they are needed, closed when they are not."""

import asyncio
import contextlib
import time

from sqlalchemy import text
from sqlalchemy.util import greenlet_spawn

from ragstore.database import Database
from ragstore.pooling import IDLE_SECONDS, LastingPool
from tests.conftest import make_settings


async def hold(database: Database, count: int) -> set[int]:
    """The server's processes behind so many transactions at once."""
    found = set()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            session = await stack.enter_async_context(database.transaction())
            found.add((await (await session.connection()).execute(text("SELECT pg_backend_pid()"))).scalar_one())
    return found


def find_pool(database: Database) -> LastingPool:
    pool = database.engine.pool
    assert isinstance(pool, LastingPool)
    return pool


async def test_surplus_connections_are_not_opened_anew_for_every_request(database_url: str) -> None:
    database = Database.connect(database_url, make_settings(database_url, pool_size=1, max_overflow=3))
    first = await hold(database, 4)
    assert len(first) == 4
    assert await hold(database, 4) == first
    assert await hold(database, 2) < first
    await database.close()


async def test_surplus_connections_that_nobody_needs_are_closed(database_url: str) -> None:
    database = Database.connect(database_url, make_settings(database_url, pool_size=2, max_overflow=3))
    first = await hold(database, 5)
    pool = find_pool(database)
    now = time.monotonic()
    assert await greenlet_spawn(pool.trim, now) == 0  # they were used just now
    async with database.transaction():
        assert await greenlet_spawn(pool.trim, now + IDLE_SECONDS + 1) == 3
        assert (pool.checkedin(), pool.checkedout()) == (1, 1)
    assert await greenlet_spawn(pool.trim, now + 10 * IDLE_SECONDS) == 0  # the pool's size stays
    assert len(await hold(database, 2) & first) == 2
    assert len(await hold(database, 5)) == 5  # as many as before may be opened
    await database.engine.dispose()
    assert len(await hold(database, 5)) == 5
    assert await greenlet_spawn(find_pool(database).trim, time.monotonic() + IDLE_SECONDS + 1) == 3
    await database.close()


async def test_no_more_than_pool_size_and_overflow_are_opened(database_url: str) -> None:
    settings = make_settings(database_url, pool_size=1, max_overflow=1, request_pool_timeout=0.2)
    database = Database.connect(database_url, settings)
    holding = [asyncio.create_task(wait_within(database)) for _ in range(3)]
    ended = await asyncio.gather(*holding, return_exceptions=True)
    assert [type(one).__name__ for one in ended if one is not None] == ["PoolExhausted"]
    await database.close()


async def wait_within(database: Database) -> None:
    async with database.transaction():
        await asyncio.sleep(0.6)
