from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from ragstore.app import create_app
from ragstore.chat.context.summaries import SUMMARISE
from ragstore.database import Database
from ragstore.generation.openai_compatible import make_chat_model
from tests.builders import paths_of, problem_of
from tests.chat.kit import counting, make_session, read, say
from tests.conftest import make_settings, running
from tests.fake_chat import FakeChat, Messages

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


async def read_context(client: httpx.AsyncClient, session_id: str, max_tokens: int, **params: Any) -> Any:
    return await read(client, f"/v1/sessions/{session_id}/context", max_tokens=max_tokens, **params)


async def test_system_messages_and_the_newest_turns_fit(client: httpx.AsyncClient) -> None:
    made = await make_session(client)
    await say(client, made["id"], {"role": "system", "content": "Be brief."})
    for turn in range(30):
        await say(client, made["id"], f"question {turn}", {"role": "assistant", "content": f"answer {turn}"})
    whole = await read_context(client, made["id"], 100_000)
    assert [one["position"] for one in whole["messages"]] == list(range(1, 62))
    assert (whole["left_out"], whole["starts_at"], whole["complete"]) == (False, 2, True)
    some = await read_context(client, made["id"], 100)
    assert 0 < some["tokens"] <= 100 == some["max_tokens"]
    assert some["messages"][0]["role"] == "system"
    spoken = some["messages"][1:]
    assert spoken[0]["role"] == "user"
    assert [one["position"] for one in spoken] == list(range(some["starts_at"], 62))
    assert some["left_out"] is True
    bare = await read_context(client, made["id"], 100, format="openai")
    assert [one["content"] for one in bare] == [one["content"] for one in some["messages"]]


async def test_a_budget_below_the_system_messages_is_refused(client: httpx.AsyncClient) -> None:
    made = await make_session(client)
    await say(client, made["id"], {"role": "system", "content": "word " * 100})
    answer = await client.get(f"/v1/sessions/{made['id']}/context", params={"max_tokens": 50})
    assert paths_of(problem_of(answer, 422, "unprocessable")) == ["max_tokens"]
    problem_of(await client.get(f"/v1/sessions/{made['id']}/context"), 400, "invalid-request")


async def test_deleted_messages_are_in_no_context(client: httpx.AsyncClient) -> None:
    made = await make_session(client)
    call = {"role": "assistant", "tool_calls": [CALL]}
    stored = await say(client, made["id"], "one", call, {"role": "tool", "tool_call_id": "c1", "content": "r"}, "two")
    await client.delete(f"/v1/sessions/{made['id']}/messages/{stored[1]['id']}")
    found = await read_context(client, made["id"], 1000)
    assert [one["position"] for one in found["messages"]] == [1, 4]


async def test_a_long_history_is_not_read_for_a_small_context(client: httpx.AsyncClient, app: Litestar) -> None:
    made = await make_session(client)
    for _ in range(3):
        await say(client, made["id"], *(f"{number} and some words" for number in range(700)))
    async with counting(app.state.ragstore.database) as seen:
        found = await read_context(client, made["id"], 200)
    assert len(seen) == 3  # the session, its system messages, one page
    assert found["starts_at"] > 2050


def sum_up(messages: Messages) -> str:
    return f"They spoke of {messages[-1]['content'].count('topic')} topics."


@pytest.fixture
def fake() -> FakeChat:
    return FakeChat(sum_up)


@pytest.fixture
async def talker(database_url: str, fake: FakeChat) -> AsyncIterator[httpx.AsyncClient]:
    """A service with a chat model, whose jobs are run."""
    settings = make_settings(
        database_url, pool_size=3, max_overflow=2, chat_model="m", chat_base_url="http://m/v1", job_retry_delay=0.05
    )
    model = make_chat_model(settings, transport=fake.transport())
    async with running(create_app(settings, chat_model=model)) as client:
        yield client


async def wait_for_jobs(client: httpx.AsyncClient) -> None:
    while True:
        jobs = (await read(client, "/v1/jobs", kind=SUMMARISE))["items"]
        if all(one["state"] in ("succeeded", "failed", "cancelled") for one in jobs):
            assert [one["error"] for one in jobs if one["state"] == "failed"] == []
            return


async def talk(client: httpx.AsyncClient, session_id: str, turns: range) -> None:
    for turn in turns:
        await say(client, session_id, f"topic {turn}", {"role": "assistant", "content": f"about {turn}"})


async def test_what_is_left_out_is_summed_up_in_the_background(talker: httpx.AsyncClient, fake: FakeChat) -> None:
    made = await make_session(talker)
    await talk(talker, made["id"], range(20))
    first = await read_context(talker, made["id"], 100)
    assert first["summary"] is None
    await wait_for_jobs(talker)
    told = await read_context(talker, made["id"], 100)
    until = first["starts_at"] - 1
    assert told["summary"] == {"content": f"They spoke of {until // 2} topics.", "until": until, "model": "m"}
    assert told["tokens"] <= 100
    assert told["starts_at"] >= first["starts_at"]
    bare = await read_context(talker, made["id"], 100, format="openai")
    assert bare[0]["role"] == "system"
    assert "They spoke of" in bare[0]["content"]
    assert (await read_context(talker, made["id"], 100, summary="false"))["summary"] is None
    await talk(talker, made["id"], range(20, 40))
    await read_context(talker, made["id"], 100)
    await wait_for_jobs(talker)
    rolled = (await read_context(talker, made["id"], 100))["summary"]
    assert rolled["until"] > until
    assert "<earlier-summary>\nThey spoke of" in fake.calls[-1]["messages"][-1]["content"]
    assert f"topic {until // 2 - 1}\n" not in fake.calls[-1]["messages"][-1]["content"]


async def test_an_edit_makes_the_summary_begin_anew(talker: httpx.AsyncClient, database: Database) -> None:
    made = await make_session(talker)
    (first,) = await say(talker, made["id"], "my name is Secret")
    await talk(talker, made["id"], range(20))
    await read_context(talker, made["id"], 100)
    await wait_for_jobs(talker)
    assert (await read_context(talker, made["id"], 100))["summary"]
    await talker.delete(f"/v1/sessions/{made['id']}/messages/{first['id']}")
    assert (await read_context(talker, made["id"], 100))["summary"] is None
    await wait_for_jobs(talker)
    assert (await read_context(talker, made["id"], 100))["summary"]["until"] > 10
    async with database.engine.begin() as connection:
        assert "Secret" not in str((await connection.execute(text("SELECT summary FROM chat_session"))).all())


async def test_without_a_chat_model_nothing_is_summed_up(client: httpx.AsyncClient) -> None:
    made = await make_session(client)
    await talk(client, made["id"], range(20))
    assert (await read_context(client, made["id"], 100))["summary"] is None
    assert (await read(client, "/v1/jobs", kind=SUMMARISE))["items"] == []
