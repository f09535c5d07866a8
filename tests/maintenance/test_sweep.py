from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import text

from ragstore.app import make_handlers
from ragstore.database import Database
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.job.service import NOBODY, enqueue_system
from ragstore.maintenance import queries
from ragstore.maintenance.sweep import SWEEP, list_sweeps
from tests.builders import make_collection, open_session
from tests.conftest import make_settings
from tests.job.conftest import queue  # noqa: F401  # a fixture
from tests.job.kit import Queue

KEY = """
    INSERT INTO api_key (tenant_id, id, name, prefix, digest, scopes, expires_at, revoked_at)
    SELECT id, gen_random_uuid(), :name, :name, '', '{read}', :expires, :revoked FROM tenant WHERE name = 'default'
"""


async def test_what_is_over_is_deleted_and_nothing_else(client: httpx.AsyncClient, queue: Queue) -> None:  # noqa: F811
    old, new = [await open_session(client, key=key) for key in ("old", "new")]
    await client.post(f"/v1/sessions/{old}/messages", json={"role": "user", "content": "gone with it"})
    await queue.ask("UPDATE chat_session SET expires_at = now() - interval '1 second' WHERE id::text = :id", id=old)
    await queue.ask("UPDATE chat_session SET expires_at = now() + interval '1 hour' WHERE id::text = :id", id=new)
    for name, expires, revoked in (("a", "40 days", None), ("b", None, "40 days"), ("c", "9 days", None)):
        ago = {"expires": expires, "revoked": revoked}
        given: dict[str, Any] = {"name": name}
        for which, days in ago.items():
            found = (await queue.ask(f"SELECT now() - interval '{days}' AS at"))[0].at if days else None
            given[which] = found
        await queue.ask(KEY, **given)
    done, fresh = await queue.add(), await queue.add()
    await queue.ask("UPDATE job SET state = 'failed', finished_at = now() - interval '8 days' WHERE id = :id", id=done)
    await queue.ask("UPDATE job SET state = 'failed', finished_at = now() WHERE id = :id", id=fresh)

    await make_collection(client)
    keys = "SELECT c.tenant_id, c.id, j.id::text, j.id FROM collection c, job j WHERE j.kind = 'work'"
    await queue.ask(f"INSERT INTO accepted_key {keys}")  # two constants
    result = await sweep(queue)

    assert result == {
        "chat_sessions": 1,
        "api_keys": 2,
        "jobs": 1,
        "embedding_cache": 0,
        "idempotency_records": 0,
        "files": 0,
        "accepted_keys": 1,
        "import_positions": 0,
        "indexes": 0,
    }
    left = await queue.ask("SELECT name FROM api_key")
    assert {row.name for row in left} >= {"c", "first admin key"}
    assert [str(row.id) for row in await queue.ask("SELECT id FROM chat_session")] == [new]
    assert await queue.ask("SELECT * FROM chat_message") == []
    assert [row.id for row in await queue.ask("SELECT id FROM job WHERE kind = 'work'")] == [fresh]


async def sweep(queue: Queue) -> dict[str, int]:  # noqa: F811
    settings = make_settings(queue.url)
    handlers = make_handlers(settings, EmbedderRegistry(settings))
    async with queue.app.transaction() as session:
        job_id = await enqueue_system(session, SWEEP)
    async with queue.working(handlers=handlers):
        result: dict[str, int] = (await queue.wait_for(job_id, "succeeded")).result
    return result


async def test_a_sweep_asks_for_the_next(queue: Queue) -> None:  # noqa: F811
    await sweep(queue)
    await sweep(queue)
    waiting = await queue.ask(
        "SELECT tenant_id, run_at > now() + interval '1 minute' AS later FROM job WHERE state = 'queued'"
    )
    assert [(row.tenant_id, row.later) for row in waiting] == [(NOBODY, True)]


async def test_every_sweep_has_its_function_and_its_time(database: Database) -> None:
    assert list(list_sweeps(make_settings("postgresql://h/n"))) == list(queries.SWEEPS)
    async with database.engine.connect() as connection:
        names = await connection.scalars(text("SELECT proname FROM pg_proc WHERE proname LIKE 'ragstore_sweep_%'"))
        assert len(list(names)) == len(queries.SWEEPS)


async def test_a_sweep_takes_no_more_than_its_batch(queue: Queue) -> None:  # noqa: F811
    for _ in range(5):
        await queue.add()
    await queue.ask("UPDATE job SET state = 'failed', finished_at = now() - interval '9 days'")
    async with queue.app.transaction() as session:
        assert await queries.sweep(session, "jobs", timedelta(days=7), 3) == 3
        assert await queries.sweep(session, "jobs", timedelta(days=7), 3) == 2
