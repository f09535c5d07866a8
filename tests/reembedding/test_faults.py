"""What goes wrong on the way: providers, workers, people who change their minds."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from ragstore.collection.models import REEMBED
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.job.context import JobContext
from ragstore.job.outcomes import LeaseLost, RetryLater
from ragstore.reembedding import filling
from ragstore.reembedding.handler import DropHandler, ReembedHandler
from tests.builders import make_collection, problem_of, search, upsert
from tests.conftest import make_settings
from tests.fake_openai import FakeOpenAI, Fault
from tests.index.conftest import queue
from tests.job.kit import Queue, wait_until
from tests.reembedding.kit import (
    ADDRESS,
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

__all__ = ["queue"]


@pytest.fixture
def fake() -> FakeOpenAI:
    return FakeOpenAI(width=64)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "BATCH", 10)
    monkeypatch.setattr(filling, "PART", 25)


def make_handler(database_url: str, fake: FakeOpenAI, **values: Any) -> ReembedHandler:
    given = {"openai_api_key": "sk-test", "openai_base_url": "http://provider/v1", "embedding_retries": 0}
    settings = make_settings(database_url, **given)
    return ReembedHandler(
        EmbedderRegistry(settings, transport=fake.transport()),
        **{"index_threshold": 10**6, "grace": 0, "pause": 0.05} | values,
    )


async def claim(queue: Queue, kind: str = REEMBED) -> JobContext:
    (job,) = await queue.claim(kinds=(kind,))
    return queue.context(job)


def texts_of_new(fake: FakeOpenAI) -> list[str]:
    return [text for call in fake.calls if call.body["model"] == NEW for text in call.texts]


async def test_what_a_dead_worker_filled_is_not_filled_again(
    queue: Queue, fake: FakeOpenAI, small_batches: None
) -> None:
    async with serving(queue.url, fake, run_jobs=False) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 60))
        await call(client, "POST", model=NEW)
        handler = make_handler(queue.url, fake)
        fake.calls.clear()
        died = asyncio.create_task(handler.run(await claim(queue)))

        async def under_way() -> bool:
            return len(fake.calls) >= 3

        await wait_until(under_way)
        died.cancel()
        await asyncio.gather(died, return_exceptions=True)
        stored = (await count_vectors(queue.owner))[NEW]
        assert 10 <= stored < 60
        embedded = len(texts_of_new(fake))
        await queue.ask("UPDATE job SET lease_until = now() - interval '1 s' WHERE state = 'running'")
        result = await handler.run(await claim(queue))
        assert result["state"] == "switched"
        assert len(texts_of_new(fake)) - embedded == 60 - stored
        assert await count_vectors(queue.owner) == {OLD: 60, NEW: 60}
        assert await read_model(client) == NEW


async def test_a_worker_whose_job_is_anothers_writes_nothing(
    queue: Queue, fake: FakeOpenAI, small_batches: None
) -> None:
    async with serving(queue.url, fake, run_jobs=False) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 20))
        status = await call(client, "POST", model=NEW)
        context = await claim(queue)
        await client.post(f"/v1/jobs/{status['job']['id']}/cancel")
        with pytest.raises(LeaseLost):
            await make_handler(queue.url, fake).run(context)
        assert await count_vectors(queue.owner) == {OLD: 20}
        assert (await call(client))["state"] == "filling"
        again = await call(client, "POST", model=NEW)
        assert again["job"]["id"] != status["job"]["id"]


async def test_a_provider_that_fails_in_the_middle_costs_no_attempt_and_no_vector(
    queue: Queue, fake: FakeOpenAI, small_batches: None
) -> None:
    async with serving(queue.url, fake, run_jobs=False) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 30))
        await call(client, "POST", model=NEW)
        fake.script(Fault(), Fault(status=503, headers={"retry-after": "4"}))
        handler = make_handler(queue.url, fake)
        context = await claim(queue)
        with pytest.raises(RetryLater) as pause:
            await handler.run(context)
        assert pause.value.seconds == 4
        assert (await count_vectors(queue.owner))[NEW] == 10
        assert "not available" in (await queue.row(context.job.id)).message
        assert await search(client, query="number", mode="vector")
        fake.script(Fault(status=503))
        with pytest.raises(Exception, match="not available"):  # nothing was done this time: it counts
            await handler.run(context)
        assert (await handler.run(context))["state"] == "switched"
        assert await count_gaps(queue.owner, NEW) == 0


async def test_a_text_that_the_model_refuses_is_named(queue: Queue, fake: FakeOpenAI) -> None:
    embed = fake.answer

    async def refuse(given: Any, fault: Fault) -> Any:
        long = given.body["model"] == NEW and any("number 13" in text for text in given.texts)
        return await embed(given, Fault(status=400) if long else fault)

    fake.answer = refuse  # type: ignore[method-assign, assignment]  # a provider of its own mind
    async with serving(queue.url, fake) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 20))
        status = await call(client, "POST", model=NEW)
        row = await queue.wait_for(uuid.UUID(status["job"]["id"]), "failed")
        assert row.error["detail"].startswith("Passage 0 of document '13' cannot be embedded")
        assert row.attempts == 1
        assert await read_model(client) == OLD
        # writers are not kept from writing by it, nor is anybody from giving up
        await upsert(client, {"key": "13", "content": "still the number 13"})
        await call(client, "DELETE")
        await wait_for(client, "none")
        assert await count_vectors(queue.owner) == {OLD: 20}


async def test_writers_go_on_without_the_second_model_and_the_gap_is_filled(queue: Queue, fake: FakeOpenAI) -> None:
    embed, down = fake.answer, asyncio.Event()

    async def fail(given: Any, fault: Fault) -> Any:
        broken = down.is_set() and given.body["model"] == NEW
        return await embed(given, Fault(status=500) if broken else fault)

    fake.answer = fail  # type: ignore[method-assign, assignment]  # as above
    async with serving(queue.url, fake) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 3))
        await call(client, "POST", model=NEW, switch="manual")
        await wait_for(client, "ready")
        down.set()
        await upsert(client, *documents(3, 5))
        assert await count_vectors(queue.owner) == {OLD: 5, NEW: 3}
        problem = problem_of(await client.post(f"{ADDRESS}/switch"), 409, "conflict")
        assert "lack a vector" in problem["detail"]
        assert await read_model(client) == OLD
        down.clear()

        async def switched() -> bool:
            return (await client.post(f"{ADDRESS}/switch")).status_code == 200

        await wait_until(switched, 20)
        assert await read_model(client) == NEW
        assert await count_gaps(queue.owner, NEW) == 0


async def test_a_model_that_cannot_be_used_is_refused_at_once(database_url: str, fake: FakeOpenAI) -> None:
    async with serving(database_url, fake, run_jobs=False) as client:
        await make_collection(client)
        fake.script(Fault(status=404))
        refused = problem_of(await client.post(ADDRESS, json={"model": NEW}), 422, "unprocessable")
        assert refused["errors"][0]["path"] == "model"
        fake.script(Fault(status=503))
        problem_of(await client.post(ADDRESS, json={"model": NEW}), 503, "provider-unavailable")
        assert (await call(client))["state"] == "none"


async def test_without_a_provider_only_the_local_model_can_be_chosen(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    response = await client.post(ADDRESS, json={"model": NEW})
    assert problem_of(response, 422, "unprocessable")["errors"][0]["path"] == "model"


async def test_giving_up_removes_what_was_filled(queue: Queue, fake: FakeOpenAI, small_batches: None) -> None:
    async with serving(queue.url, fake, run_jobs=False) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 30))
        status = await call(client, "POST", model=NEW)
        context = await claim(queue)
        fake.script(Fault(), Fault(status=500))
        with pytest.raises(RetryLater):
            await make_handler(queue.url, fake).run(context)
        stopped = await call(client, "DELETE")
        assert stopped["state"] == "dropping"
        assert (await queue.row(uuid.UUID(status["job"]["id"]))).state == "cancelled"
        await upsert(client, *documents(30, 31))
        assert await count_vectors(queue.owner) == {OLD: 31, NEW: 10}
        assert await DropHandler().run(await claim(queue, "drop_vectors")) == {"vectors": 10}
        assert await count_vectors(queue.owner) == {OLD: 31}
        assert (await call(client))["state"] == "none"
        vacuums = await ask(queue.owner, "SELECT 1 FROM job WHERE kind = 'vacuum' AND state = 'queued'")
        assert len(vacuums) == 1


async def test_a_rollback_keeps_what_was_to_be_dropped(queue: Queue, fake: FakeOpenAI) -> None:
    async with serving(queue.url, fake, run_jobs=False) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 3))
        await call(client, "POST", model=NEW, keep_old=False)
        assert (await make_handler(queue.url, fake).run(await claim(queue)))["state"] == "switched"
        await call(client, "POST", "rollback")
        assert await DropHandler().run(await claim(queue, "drop_vectors")) == {"vectors": 0}
        assert await count_vectors(queue.owner) == {OLD: 3, NEW: 3}
        assert (await call(client))["state"] == "ready"
