"""A request that takes longer than the lease of its key keeps the key all the same."""

import asyncio

import pytest
from sqlalchemy import text

from ragstore.database import Database
from ragstore.idempotency import service
from tests.builders import make_collection, problem_of
from tests.conftest import running
from tests.fake_openai import FakeOpenAI, Fault
from tests.idempotency.test_idempotency import keyed, provided_app

ADDRESS = "/v1/collections/docs/documents"
BEATS = "renew an Idempotency-Key"


def list_beats() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == BEATS and not task.done()]


async def test_a_long_request_is_not_run_twice(
    database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LEASE", 0.6)
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        body = {"documents": [{"content": "one"}]}
        fake.script(Fault(delay=2.0))
        long = asyncio.create_task(client.post(ADDRESS, json=body, headers=keyed("a")))
        await asyncio.sleep(1.4)
        early = await client.post(ADDRESS, json=body, headers=keyed("a"))
        problem_of(early, 409, "idempotency-in-flight")
        async with database.engine.connect() as connection:
            query = text("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'")
            assert await connection.scalar(query) == 0
        first = await long
        assert first.status_code == 200
        again = await client.post(ADDRESS, json=body, headers=keyed("a"))
        assert again.json() == first.json()
        assert len(fake.calls) == 1
        await asyncio.sleep(0.05)
        assert list_beats() == []


async def test_a_request_that_fails_stops_renewing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "LEASE", 600.0)
    async with running(provided_app(database_url, FakeOpenAI())) as client:
        missing = await client.post(ADDRESS, json={"documents": [{"content": "one"}]}, headers=keyed("a"))
        problem_of(missing, 404, "not-found")
        await asyncio.sleep(0.05)
        assert list_beats() == []


async def test_a_claim_that_was_taken_over_is_not_renewed(
    database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LEASE", 0.3)
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        fake.script(Fault(delay=1.0))
        slow = asyncio.create_task(client.post(ADDRESS, json={"documents": [{"content": "x"}]}, headers=keyed("a")))
        await asyncio.sleep(0.2)
        async with database.transaction() as session:
            await (await session.connection()).execute(text("UPDATE idempotency_record SET claim = gen_random_uuid()"))
        await asyncio.sleep(0.4)
        assert list_beats() == []
        problem_of(await slow, 409, "conflict")
