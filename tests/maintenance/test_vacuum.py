import asyncio

import httpx
import structlog
from sqlalchemy import text

from ragstore.database import Database
from ragstore.maintenance.vacuum import VacuumHandler
from tests.builders import make_collection, upsert
from tests.job.conftest import queue  # noqa: F401  # a fixture
from tests.job.kit import Queue


async def test_rows_are_vacuumed_soon_after_an_import(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await upsert(client, *[{"key": f"{number}", "content": f"passage {number}"} for number in range(600)])
    async with database.engine.connect() as connection:
        for _ in range(100):
            visible, pages = (
                await connection.execute(
                    text("SELECT relallvisible, relpages FROM pg_class WHERE oid = 'embedding'::regclass")
                )
            ).one()
            await connection.rollback()
            if pages and visible == pages:
                break
            await asyncio.sleep(0.1)
    assert visible == pages > 0


async def test_an_import_asks_once_and_so_does_a_delete(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await upsert(client, {"key": "a", "content": "one"})
    await upsert(client, {"key": "b", "content": "two"})
    await client.delete("/v1/collections/docs/documents", params={"key": "a"})
    async with database.engine.connect() as connection:
        states = list(await connection.scalars(text("SELECT state FROM job WHERE kind = 'vacuum'")))
    assert states in (["queued"], ["succeeded", "queued"], ["running", "queued"])


async def test_who_does_not_own_the_tables_skips_the_vacuum_and_says_so_once(
    queue: Queue,  # noqa: F811
    database: Database,
) -> None:
    handler = VacuumHandler(queue.app)
    await queue.add("vacuum")
    (job,) = await queue.claim(kinds=("vacuum",))
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            assert await handler.run(queue.context(job)) == {"vacuumed": False}
    assert len(logs) == 1
