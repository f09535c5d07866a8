"""Connections, databases and providers that go away: every document once, and nothing left behind."""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from ragstore.app import create_app
from ragstore.database import Database
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.ingestion.streaming import position, service
from tests.builders import make_collection, problem_of
from tests.conftest import make_settings, running
from tests.fake_openai import FakeOpenAI, Fault
from tests.ingestion.streaming.conversation import PATH, Conversation, write_lines

DOCUMENTS = [{"key": f"{number}", "content": f"text number {number}"} for number in range(1500)]
BODY = write_lines(DOCUMENTS)


@dataclass
class Provided:
    """A service, and the provider that its vectors come from."""

    app: Litestar
    client: httpx.AsyncClient
    fake: FakeOpenAI

    def count_embedded(self) -> Counter[str]:
        return Counter(text for call in self.fake.calls for text in call.texts)

    async def count_documents(self) -> int:
        count: int = (await self.client.get("/v1/collections/docs")).json()["document_count"]
        return count


@pytest.fixture
async def provided(database_url: str) -> AsyncIterator[Provided]:
    fake = FakeOpenAI(width=8)
    values = {"openai_api_key": "sk-test", "openai_base_url": "http://provider/v1", "embedding_retries": 0}
    settings = make_settings(database_url, **values)
    app = create_app(settings, embedders=EmbedderRegistry(settings, transport=fake.transport()))
    async with running(app) as client:
        await make_collection(client)
        yield Provided(app, client, fake)


def cut_body(chance: random.Random, body: bytes) -> list[bytes]:
    """Pieces of any length, up to anywhere."""
    cuts = sorted(chance.choices(range(len(body) + 1), k=20))
    return [body[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]


@pytest.mark.parametrize("seed", range(4))
async def test_a_connection_that_breaks_again_and_again(provided: Provided, seed: int) -> None:
    """Each time the sender goes at some moment, and comes back at once: nothing is lost, stored or embedded twice."""
    chance = random.Random(seed)
    answered: Counter[int] = Counter()
    for _ in range(12):
        talk = Conversation(provided.app, "import=mine").begin()
        for piece in cut_body(chance, BODY):
            talk.say(piece)
            await asyncio.sleep(chance.choice([0, 0, 0.01, 0.05]))
        talk.leave()
        # not awaited: the next request comes while this one may still be storing
        answered.update(one["line"] for one in talk.answers if "line" in one)
        if chance.random() < 0.5:
            await talk.over()
    talk = Conversation(provided.app, "import=mine").begin()
    talk.say(BODY)
    talk.end()
    end = (await talk.over())[-1]
    assert (end["done"], end["lines"], end["created"], end["chunks"]) == (True, 1500, 1500, 1500)
    assert await provided.count_documents() == 1500
    assert set(provided.count_embedded().values()) == {1}
    stored = (await provided.client.get(f"{PATH}?import=mine")).json()
    assert (stored["lines"], stored["created"], stored["failed"]) == (1500, 1500, 0)


async def test_who_leaves_leaves_nothing_behind(provided: Provided) -> None:
    talk = Conversation(provided.app).begin()
    talk.end()
    await talk.over()
    await asyncio.sleep(0.1)
    pool: Any = provided.app.state.ragstore.database.engine.pool
    tasks, files = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
    chance = random.Random(1)
    for _ in range(20):
        talk = Conversation(provided.app, chance.choice(["", "import=mine"])).begin()
        talk.say(BODY[: chance.randrange(len(BODY))])
        await asyncio.sleep(chance.random() / 20)
        talk.leave()
        await talk.over()
    assert pool.checkedout() == 0
    assert len(asyncio.all_tasks()) <= tasks
    assert len(os.listdir("/proc/self/fd")) <= files


async def test_answers_that_nobody_reads_do_not_stop_the_import(provided: Provided) -> None:
    """What a client does that sends everything first: the answer is stuck until the body has ended."""
    sent = asyncio.Event()

    class Deaf(Conversation):
        async def hear(self, message: Any) -> None:
            if message["type"] == "http.response.body":
                await sent.wait()
            await super().hear(message)

    talk = Deaf(provided.app).begin()
    talk.say(BODY)
    talk.end()
    async with asyncio.timeout(60):
        while await provided.count_documents() < 1500:  # noqa: ASYNC110  # the other side of HTTP sets no event
            await asyncio.sleep(0.05)
    sent.set()
    assert [one.get("line") for one in await talk.over()] == [*range(1, 1501), None]


async def test_a_provider_that_comes_back_is_waited_for(provided: Provided, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "FIRST_PAUSE", 0.01)
    provided.fake.script(Fault(), *[Fault(status=503, headers={"retry-after": "0"})] * 3)
    talk = Conversation(provided.app).begin()
    talk.say(BODY)
    talk.end()
    assert (await talk.over())[-1]["created"] == 1500


async def test_a_provider_that_stays_away_ends_the_import(provided: Provided, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PATIENCE", 0.1)
    provided.fake.script(Fault(), Fault(), *[Fault(status=503, headers={"retry-after": "0"})] * 500)
    talk = Conversation(provided.app, "import=mine").begin()
    talk.say(BODY)
    talk.end()
    answers = await talk.over()
    end = answers[-1]
    assert (end["done"], end["lines"], end["error"]["status"]) == (False, len(answers) - 1, 503)
    assert end["lines"] == await provided.count_documents() == 200
    provided.fake.faults.clear()
    talk = Conversation(provided.app, f"import=mine&after={end['lines']}").begin()
    talk.say(write_lines(DOCUMENTS[end["lines"] :]))
    talk.end()
    answers = await talk.over()
    assert answers[0] == {"resumed_after": 200}
    assert (answers[1]["line"], answers[-1]["created"]) == (201, 1500)


# a connection that is cut while it is being made is nobody's to close
@pytest.mark.filterwarnings("ignore:unclosed connection:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_database_that_breaks_connections_is_asked_again(provided: Provided, database: Database) -> None:
    talk = Conversation(provided.app).begin()
    talk.say(BODY)
    talk.end()
    assert talk.task is not None
    kill = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ragstore'"
                " AND pid <> pg_backend_pid() AND datname = current_database()")  # fmt: skip
    for _ in range(4):
        await asyncio.sleep(0.3)
        async with database.transaction() as session:
            await (await session.connection()).execute(kill)
    end = (await talk.over())[-1]
    assert (end["done"], end["failed"]) == (True, 0)
    assert await provided.count_documents() == 1500


async def test_a_name_is_for_one_file(provided: Provided) -> None:
    async def send(body: bytes, query: str = "?import=mine") -> httpx.Response:
        return await provided.client.post(PATH + query, content=body, headers={"Content-Type": "application/x-ndjson"})

    await send(write_lines(DOCUMENTS[:5]))
    for other in (write_lines(DOCUMENTS[1:7]), write_lines(DOCUMENTS[:4]), b""):
        answer = await send(other)
        assert '"done":false' in answer.text
        assert "a name of its own" in answer.text
    problem = problem_of(await send(b"", "?import=mine&after=4"), 409, "conflict")
    assert problem["errors"] == [{"path": "after", "message": "must be 5"}]
    assert '"resumed_after":5' in (await send(write_lines(DOCUMENTS[:6]))).text
    assert await provided.count_documents() == 6


async def test_of_two_requests_with_one_name_one_stores(provided: Provided, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(position, "PATIENCE", 0.1)
    talk = Conversation(provided.app, "import=mine").begin()
    talk.say(write_lines(DOCUMENTS[:1]))
    await talk.wait_for(1)
    second = await provided.client.post(f"{PATH}?import=mine", content=b"")
    problem_of(second, 409, "conflict")
    assert second.headers["retry-after"]
    talk.end()
    assert (await talk.over())[-1]["done"]


async def test_a_request_taken_for_dead_stores_nothing_more(provided: Provided, database: Database) -> None:
    first = Conversation(provided.app, "import=mine").begin()
    first.say(write_lines(DOCUMENTS[:1]))
    await first.wait_for(1)
    async with database.transaction() as session:
        await (await session.connection()).execute(
            text("UPDATE import_position SET updated_at = now() - interval '1 minute'")
        )
    second = Conversation(provided.app, "import=mine").begin()
    second.say(write_lines(DOCUMENTS[:2]))
    await second.wait_for(2)
    first.say(write_lines(DOCUMENTS[1:3]))
    first.end()
    stopped = (await first.over())[-1]
    assert (stopped["done"], stopped["lines"], stopped["error"]["status"]) == (False, 1, 409)
    second.end()
    assert (await second.over())[-1]["lines"] == 2
    assert await provided.count_documents() == 2


async def test_a_batch_that_the_provider_refuses_does_not_end_the_import(provided: Provided) -> None:
    """Every text of it was refused, and the lines behind it were never read."""
    provided.fake.refuses = "bad"
    bad = [{"key": f"b{number}", "content": f"bad {number}"} for number in range(200)]
    lines = write_lines([*bad, {"key": "g", "content": "good"}])
    headers = {"Content-Type": "application/x-ndjson"}
    response = await provided.client.post(PATH, content=lines, headers=headers)
    answers = [json.loads(line) for line in response.text.splitlines()]
    assert [one["status"] for one in answers[:-1]] == ["failed"] * 200 + ["created"]
    assert (answers[-1]["done"], answers[-1]["failed"]) == (True, 200)
