"""A large collection: the new model's index is there before searches need it, and the sweep leaves it alone."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from ragstore.collection.indexing import name_index
from ragstore.index.service import request_missing
from tests.builders import make_collection, problem_of, search, upsert
from tests.fake_openai import FakeOpenAI
from tests.index.conftest import queue
from tests.job.kit import Queue, wait_until
from tests.reembedding.kit import ADDRESS, NEW, OLD, call, count_vectors, documents, read_model, serving, wait_for

__all__ = ["queue"]
LARGE: dict[str, Any] = {"index_threshold": 5, "index_build_quiet": 0}
INDEXES = """
    SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relname LIKE 'ix_embedding_hnsw_%' AND i.indisvalid
"""


async def list_indexes(queue: Queue) -> set[int]:
    """The numbers of the models whose codes have one."""
    (row,) = await queue.ask("SELECT tenant_id, id FROM collection")
    found = {one.name for one in await queue.ask(INDEXES)}
    named = {model: name_index(row.tenant_id, row.id, model) for model in (1, 2)}
    assert found <= set(named.values())
    return {model for model, name in named.items() if name in found}


async def wait_for_indexes(queue: Queue, *models: int) -> None:
    async def there() -> bool:
        return await list_indexes(queue) == set(models)

    await wait_until(there, 30)


async def test_the_index_is_there_before_the_switch_and_goes_with_its_vectors(queue: Queue) -> None:
    async with serving(queue.url, FakeOpenAI(width=64), **LARGE) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 10))
        await wait_for_indexes(queue, 1)
        await call(client, "POST", model=NEW)
        indexes: set[int] = set()
        while await read_model(client) == OLD:
            indexes = await list_indexes(queue)
            await asyncio.sleep(0.01)
        assert await list_indexes(queue) == {1, 2}, indexes
        answer = await client.post(
            "/v1/collections/docs/search", json={"query": "number", "mode": "vector", "top_k": 3, "explain": True}
        )
        assert len(answer.json()["hits"]) == 3
        assert await request_missing(queue.app, 5) == 0  # the old one is still wanted: there is a way back
        await call(client, "POST", "finish")
        await wait_for(client, "none")
        await wait_for_indexes(queue, 2)
        assert await count_vectors(queue.owner) == {NEW: 10}
        assert len(await search(client, query="number", mode="vector", top_k=10)) == 10


async def test_the_sweep_leaves_the_next_models_index_alone_and_builds_none_for_it(queue: Queue) -> None:
    async with serving(queue.url, FakeOpenAI(width=64), **LARGE) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 10))
        await wait_for_indexes(queue, 1)
        await call(client, "POST", model=NEW, switch="manual")
        await wait_for(client, "ready")
        assert await request_missing(queue.app, 5) == 0  # it has none, and nobody searches by it
        await call(client, "POST", switch="auto", model=NEW)
        await wait_for(client, "switched", seconds=40)
        await call(client, "POST", "rollback")
        assert await list_indexes(queue) == {1, 2}
        assert await request_missing(queue.app, 5) == 0
        assert await request_missing(queue.app, 1000) == 2  # a collection that is small by then wants neither
        await call(client, "DELETE")
        await wait_for_indexes(queue, 1)


async def test_a_build_that_failed_does_not_switch(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(queue.url, FakeOpenAI(width=64), **LARGE) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 10))
        await wait_for_indexes(queue, 1)
        async with queue.owner.engine.begin() as connection:  # somebody's own index has its name
            row = (await connection.execute(text("SELECT tenant_id, id FROM collection"))).one()
            await connection.execute(text(f"CREATE TABLE {name_index(row.tenant_id, row.id, 2)} ()"))
        started = await call(client, "POST", model=NEW)

        async def failed() -> bool:
            return bool((await call(client))["job"]["state"] == "failed")

        await wait_until(failed, 60)
        assert "index could not be built" in (await call(client))["job"]["error"]["detail"]
        assert await read_model(client) == OLD
        assert started["switch"] == "auto"
        assert (await call(client, "POST", "switch"))["state"] == "switched"  # at the tenant's own wish


async def test_deleting_the_collection_drops_both_indexes(queue: Queue) -> None:
    async with serving(queue.url, FakeOpenAI(width=64), **LARGE) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 10))
        await wait_for_indexes(queue, 1)
        await call(client, "POST", model=NEW)
        await wait_for(client, "switched", seconds=40)
        await client.delete("/v1/collections/docs")

        async def gone() -> bool:
            return await queue.ask(INDEXES) == []

        await wait_until(gone, 30)
        problem_of(await client.get(ADDRESS), 404, "not-found")
