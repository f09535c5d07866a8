"""The index over HTTP, and who asks for it to be built."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from ragstore.app import create_app, make_handlers
from ragstore.database import Database
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.index.queries import IndexKey
from ragstore.index.service import request_missing
from ragstore.job.service import enqueue_system
from ragstore.maintenance.sweep import SWEEP
from ragstore.migrate import migrate
from tests.builders import make_collection, paths_of, problem_of, search, upsert
from tests.conftest import ROLES, make_settings, running
from tests.index.kit import (
    add_collection,
    add_job,
    find,
    held_up,
    is_valid,
    leave_invalid,
    run_job,
    wait_for_build,
    working,
)
from tests.job.kit import Queue, wait_until

THRESHOLD = 3
ADDRESS = "/v1/collections/docs/index"


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Of a service whose collections are large from three passages on."""
    async with running(
        create_app(make_settings(database_url, index_threshold=THRESHOLD, index_build_quiet=0))
    ) as client:
        yield client


@pytest.fixture
async def idle_client(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The same, of a process that runs no jobs."""
    settings = make_settings(database_url, index_threshold=THRESHOLD, run_jobs=False)
    async with running(create_app(settings)) as client:
        yield client


def documents(first: int, last: int) -> list[dict[str, str]]:
    return [{"key": f"{number}", "content": f"all about the number {number}"} for number in range(first, last)]


async def read(client: httpx.AsyncClient) -> Any:
    response = await client.get(ADDRESS)
    assert response.status_code == 200, response.text
    return response.json()


async def wait_for_state(client: httpx.AsyncClient, state: str) -> Any:
    async def there() -> bool:
        return bool((await read(client))["state"] == state)

    await wait_until(there, 20)
    return await read(client)


async def test_a_collection_that_grows_large_gets_an_index(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, *documents(0, 2))
    small = await read(client)
    assert small == {
        "mode": "auto",
        "state": "none",
        "threshold": THRESHOLD,
        "chunks": 2,
        "name": None,
        "bytes": None,
        "progress": None,
        "job_id": None,
    }
    await upsert(client, *documents(2, 3))
    ready = await wait_for_state(client, "ready")
    assert ready["chunks"] == 3
    assert ready["name"].startswith("ix_embedding_hnsw_")
    assert ready["bytes"] > 0


async def test_the_import_that_crosses_the_threshold_asks_and_no_other(
    idle_client: httpx.AsyncClient, database: Database
) -> None:
    await make_collection(idle_client)
    counted = []
    for number in range(5):
        await upsert(idle_client, *documents(number, number + 1))
        async with database.engine.connect() as connection:
            counted.append(await connection.scalar(text("SELECT count(*) FROM job WHERE kind = 'index'")))
    assert counted == [0, 0, 1, 1, 1]
    waiting = await read(idle_client)
    assert waiting["state"] == "waiting"
    assert waiting["job_id"] is not None


async def test_a_collection_that_is_off_asks_for_nothing(idle_client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(idle_client)
    await idle_client.put(ADDRESS, json={"mode": "off"})
    await upsert(idle_client, *documents(0, 5))
    async with database.engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM job WHERE kind = 'index'")) == 0


async def test_the_threshold_zero_means_always(database_url: str) -> None:
    async with running(create_app(make_settings(database_url, index_threshold=0, index_build_quiet=0))) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 1))
        await wait_for_state(client, "ready")


async def test_a_mode_builds_and_drops(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, *documents(0, 1))
    first = (await client.put(ADDRESS, json={"mode": "on"})).json()
    assert (first["mode"], first["state"]) in (("on", "waiting"), ("on", "building"), ("on", "ready"))
    await wait_for_state(client, "ready")
    await client.put(ADDRESS, json={"mode": "off"})
    gone = await wait_for_state(client, "none")
    assert gone["mode"] == "off"
    await upsert(client, *documents(1, 5))
    assert (await read(client))["state"] == "none"
    await client.put(ADDRESS, json={"mode": "auto"})
    await wait_for_state(client, "ready")


async def test_a_mode_that_changes_nothing_asks_for_nothing(idle_client: httpx.AsyncClient) -> None:
    await make_collection(idle_client)
    for mode in ("auto", "off", "off", "auto"):
        answer = (await idle_client.put(ADDRESS, json={"mode": mode})).json()
        assert (answer["mode"], answer["state"], answer["job_id"]) == (mode, "none", None)


async def test_a_deleted_collection_takes_its_index_with_it(client: httpx.AsyncClient, queue: Queue) -> None:
    made = await make_collection(client)
    await upsert(client, *documents(0, 3))
    await wait_for_state(client, "ready")
    await client.delete("/v1/collections/docs")
    key = IndexKey(queue.tenant_id, made["id"], 1)
    assert await is_valid(queue, key)

    async def gone() -> bool:
        return await find(queue, key) is None

    await wait_until(gone)


async def test_what_is_wrong_is_said(client: httpx.AsyncClient, stranger_key: str) -> None:
    await make_collection(client)
    problem = problem_of(await client.put(ADDRESS, json={"mode": "maybe"}), 400, "invalid-request")
    assert paths_of(problem) == ["mode"]
    problem_of(await client.put(ADDRESS, json={}), 400, "invalid-request")
    problem_of(await client.get("/v1/collections/nothing/index"), 404, "not-found")
    problem_of(await client.put("/v1/collections/nothing/index", json={"mode": "on"}), 404, "not-found")
    stranger = {"Authorization": f"Bearer {stranger_key}"}
    problem_of(await client.get(ADDRESS, headers=stranger), 404, "not-found")
    problem_of(await client.put(ADDRESS, json={"mode": "on"}, headers=stranger), 404, "not-found")
    key = (await client.post("/v1/keys", json={"name": "reader", "scopes": ["read"]})).json()["key"]
    reader = {"Authorization": f"Bearer {key}"}
    assert (await client.get(ADDRESS, headers=reader)).status_code == 200
    problem_of(await client.put(ADDRESS, json={"mode": "on"}, headers=reader), 403, "not-allowed")


async def test_a_build_under_way_is_shown_and_search_is_right_at_every_moment(
    idle_client: httpx.AsyncClient, queue: Queue, writer: Database
) -> None:
    made = await make_collection(idle_client)
    await upsert(idle_client, *documents(0, 80))
    key = IndexKey(queue.tenant_id, made["id"], 1)

    async def ask() -> list[str]:
        hits = await search(idle_client, query="the number 7", top_k=60)
        return [hit["chunk_id"] for hit in hits]

    right = await ask()
    assert len(right) == 60
    async with working(queue, THRESHOLD):
        async with held_up(writer):
            await wait_for_build(queue)

            async def shown() -> bool:
                return (await read(idle_client))["progress"] is not None

            await wait_until(shown)
            building = await read(idle_client)
            assert building["state"] == "building"
            assert building["progress"]["total"] == 80
            assert building["job_id"] is not None
            assert await ask() == right
        await wait_for_state(idle_client, "ready")
    await queue.ask("VACUUM (ANALYZE) embedding")
    for _ in range(7):
        assert await ask() == right
    await queue.ask(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{key.name}'::regclass")
    assert (await read(idle_client))["state"] == "invalid"
    assert await ask() == right
    await idle_client.put(ADDRESS, json={"mode": "off"})
    async with working(queue, THRESHOLD):
        await wait_for_state(idle_client, "none")
    assert await ask() == right


async def test_the_sweep_asks_for_what_is_missing_broken_or_left_over(queue: Queue, writer: Database) -> None:
    missing, broken, left_over, off, ready, small, wanted = [
        await add_collection(queue, 30, name=name)
        for name in ("missing", "broken", "left over", "off", "ready", "small", "wanted")
    ]
    for key in (left_over, off, ready):
        await run_job(queue, key, 30)
    await leave_invalid(queue, broken, writer)
    await queue.ask("DELETE FROM collection WHERE id = :id", id=left_over.collection_id)
    for key, changes in (
        (off, "index_mode = 'off'"),
        (small, "chunk_count = 29"),
        (wanted, "chunk_count = 1, index_mode = 'on'"),
        (ready, "chunk_count = 15"),
    ):
        await queue.ask(f"UPDATE collection SET {changes} WHERE id = :id", id=key.collection_id)
    await queue.ask("CREATE INDEX ix_embedding_hnsw_of_somebody ON embedding (model_id) WHERE model_id = 3")
    await queue.ask("DELETE FROM job")

    settings = make_settings(queue.url, index_threshold=30)
    async with queue.app.transaction() as session:
        sweep_id = await enqueue_system(session, SWEEP)
    async with queue.working(handlers={SWEEP: make_handlers(settings, EmbedderRegistry(settings))[SWEEP]}):
        result = (await queue.wait_for(sweep_id, "succeeded")).result
    jobs = await queue.ask("SELECT payload->>'collection_id' AS id FROM job WHERE kind = 'index'")
    assert {row.id for row in jobs} == {str(key.collection_id) for key in (missing, broken, left_over, off, wanted)}
    assert result["indexes"] == len(jobs)
    async with working(queue, 30):

        async def done() -> bool:
            return (await queue.ask("SELECT 1 FROM job WHERE kind = 'index' AND state <> 'succeeded'")) == []

        await wait_until(done, 20)
    assert [await is_valid(queue, key) for key in (missing, broken, ready, wanted)] == [True] * 4
    assert [await find(queue, key) for key in (left_over, off, small)] == [None] * 3
    assert await request_missing(queue.app, 30) == 0
    await queue.ask("UPDATE collection SET chunk_count = 14 WHERE id = :id", id=ready.collection_id)
    assert await request_missing(queue.app, 30) == 1


async def test_a_build_that_has_just_failed_is_left_alone_for_an_hour(queue: Queue) -> None:
    key = await add_collection(queue, 30)
    job_id = await add_job(queue, key)
    await queue.ask("UPDATE job SET state = 'failed', finished_at = now() WHERE id = :id", id=job_id)
    assert await request_missing(queue.app, 30) == 0
    await queue.ask("UPDATE job SET finished_at = now() - interval '61 minutes' WHERE id = :id", id=job_id)
    assert await request_missing(queue.app, 30) == 1


async def test_the_migration_back_drops_every_index(queue: Queue) -> None:
    key = await add_collection(queue, 10)
    await run_job(queue, key, 10)
    await migrate(queue.owner, ROLES, "0007")
    await migrate(queue.owner, ROLES, "-1")
    assert await find(queue, key) is None
    assert (
        await queue.ask("SELECT FROM pg_policies WHERE tablename = 'collection' AND policyname <> 'one_tenant'") == []
    )
    await migrate(queue.owner, ROLES)
    assert [row.index_mode for row in await queue.ask("SELECT index_mode FROM collection")] == ["auto"]
