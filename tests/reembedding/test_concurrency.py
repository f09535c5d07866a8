"""A change of model while others write and search."""

import asyncio
import random
from dataclasses import dataclass, field

import httpx
import pytest

from ragstore.collection.models import ModelsChanged
from ragstore.collection.service import CollectionService
from ragstore.database import Database
from ragstore.document.publishing import Publisher
from tests.builders import make_collection, search, upsert
from tests.conftest import make_settings
from tests.fake_openai import FakeOpenAI
from tests.job.kit import wait_until
from tests.reembedding.kit import (
    NEW,
    OLD,
    ask,
    call,
    count_gaps,
    count_vectors,
    documents,
    read_model,
    serving,
    wait_for,
)
from tests.search.stored import read_tenant_id

WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@dataclass
class Traffic:
    """Writers who replace, add and delete, and readers who always find."""

    client: httpx.AsyncClient
    over: asyncio.Event = field(default_factory=asyncio.Event)
    writes: int = 0
    searches: int = 0

    async def write(self, writer: int) -> None:
        chance = random.Random(writer)  # guards nothing
        while not self.over.is_set():
            first = chance.randrange(40)
            batch = [{"key": f"{n}", "content": f"version {chance.random()} of {n}"} for n in range(first, first + 5)]
            results = await upsert(self.client, *batch)
            assert {one["status"] for one in results} <= {"created", "updated"}, results
            deleted = await self.client.delete(f"/v1/collections/docs/documents?key={50 + chance.randrange(50)}")
            assert deleted.status_code == 200, deleted.text
            self.writes += 1

    async def read(self, mode: str) -> None:
        while not self.over.is_set():
            hits = await search(self.client, query="version of a number", mode=mode, top_k=20)
            assert len(hits) == 20
            self.searches += 1


async def test_writers_and_searches_go_on_throughout(database_url: str, database: Database) -> None:
    """There and back and there again."""
    async with serving(database_url, FakeOpenAI(width=64)) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 100))
        traffic = Traffic(client)

        async def change() -> None:
            await call(client, "POST", model=NEW, switch="manual")
            await wait_for(client, "ready")
            for step, searched in (("switch", NEW), ("rollback", OLD), ("switch", NEW)):
                await call(client, "POST", step)
                assert await read_model(client) == searched
                await asyncio.sleep(0.2)
                assert await count_gaps(database, NEW) == await count_gaps(database, OLD) == 0
            await call(client, "POST", "finish")
            await wait_for(client, "none")
            await call(client, "POST", model=OLD)
            await wait_for(client, "switched")
            assert await read_model(client) == OLD
            traffic.over.set()

        tasks = [*(traffic.write(writer) for writer in range(4)), traffic.read("vector"), traffic.read("hybrid")]
        await asyncio.gather(*tasks, change())
        chunks = (await client.get("/v1/collections/docs")).json()["chunk_count"]
        assert await count_vectors(database) == {OLD: chunks, NEW: chunks}
    assert traffic.writes > 10
    assert traffic.searches > 10


async def test_a_writer_who_embedded_before_the_start_comes_again(database_url: str, database: Database) -> None:
    fake = FakeOpenAI(width=64)
    async with serving(database_url, fake, run_jobs=False) as client:
        await make_collection(client)
        await call(client, "POST", model=NEW)
        await call(client, "DELETE")
        embed = fake.answer
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def answer_slowly(given, fault):  # type: ignore[no-untyped-def]  # the fake's own
            if not begun.is_set():
                begun.set()
                await go_on.wait()
            return await embed(given, fault)

        fake.answer = answer_slowly  # type: ignore[method-assign]  # as above
        writing = asyncio.create_task(upsert(client, *documents(0, 3)))
        await begun.wait()
        await call(client, "POST", model=NEW)
        go_on.set()
        await writing
        assert await count_vectors(database) == {OLD: 3, NEW: 3}


async def test_a_writer_with_an_old_handle_is_turned_away(database_url: str, database: Database) -> None:
    tenant_id = await read_tenant_id(database)
    async with serving(database_url, FakeOpenAI(width=64), run_jobs=False) as client:
        await make_collection(client)
        async with database.transaction(tenant_id) as session:
            before = await CollectionService(session, tenant_id).open("docs")
        await call(client, "POST", model=NEW)
        async with database.transaction(tenant_id) as session:
            now = await CollectionService(session, tenant_id).open("docs")
            await Publisher(session, tenant_id, now).hold()
        async with database.transaction(tenant_id) as session:
            with pytest.raises(ModelsChanged):
                await Publisher(session, tenant_id, before).hold()
        assert now.second_model is not None
        assert now.second_model.name == NEW


async def test_a_change_waits_for_writers_and_later_writers_wait_behind_it(
    database_url: str, database: Database
) -> None:
    """In the order they came: otherwise writers that overlap would keep the change waiting for ever."""
    tenant_id = await read_tenant_id(database)
    writer = Database.connect(database_url, make_settings(database_url))
    async with serving(database_url, FakeOpenAI(width=64), run_jobs=False) as client:
        await make_collection(client)

        async def waiting(count: int) -> None:
            async def there() -> bool:
                return bool((await ask(watch, WAITING))[0][0] == count)

            await wait_until(there)

        watch = Database.connect(database_url, make_settings(database_url))
        async with writer.transaction(tenant_id) as session:
            handle = await CollectionService(session, tenant_id).open("docs")
            await Publisher(session, tenant_id, handle).hold()
            starting = asyncio.create_task(call(client, "POST", model=NEW))
            await waiting(1)
            later = asyncio.create_task(upsert(client, *documents(0, 1)))
            await waiting(2)
            assert not starting.done()
            assert not later.done()
        await starting
        await later
        assert await count_vectors(database) == {OLD: 1, NEW: 1}
        await watch.close()
    await writer.close()
