import asyncio
from typing import Any

import httpx
import pytest

from tests.builders import paths_of, problem_of
from tests.chat.kit import make_session, read, say

CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"q": "späť"}'}, "index": 0}
PARTS = [
    {"type": "text", "text": "What is in"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
    {"type": "text", "text": "this picture?"},
]


async def test_tool_calls_parts_and_citations_come_back_as_they_were_sent(client: httpx.AsyncClient) -> None:
    made = await make_session(client)
    sent: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": PARTS},
        {"role": "assistant", "tool_calls": [CALL], "model": "m", "latency_ms": 5, "tokens_used": 9},
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
        {"role": "assistant", "content": "It is [1].", "citations": [{"number": 1, "document_key": "a/b"}]},
    ]
    stored = await say(client, made["id"], *sent)
    found = (await read(client, f"/v1/sessions/{made['id']}/messages"))["items"]
    assert found == stored
    assert (found[1]["content"], found[1]["parts"]) == ("What is in\nthis picture?", PARTS)
    assert (found[2]["content"], found[2]["tool_calls"], found[2]["latency_ms"]) == ("", [CALL], 5)
    assert found[3]["tool_call_id"] == "call_1"
    assert found[4]["citations"] == sent[4]["citations"]
    bare = await read(client, f"/v1/sessions/{made['id']}/messages", format="openai")
    assert bare == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": PARTS},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "42", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "It is [1]."},
    ]


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"role": "user", "content": "x", "tool_calls": [CALL]}, "tool_calls"),
        ({"role": "assistant", "tool_calls": [{"type": "function"}]}, "tool_calls[0].id"),
        ({"role": "tool", "content": "42"}, "tool_call_id"),
        ({"role": "user", "content": "x", "tool_call_id": "call_1"}, "tool_call_id"),
        ({"role": "user", "content": [{"text": "x"}]}, "content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "content[0].text"),
        ({"role": "user", "content": [{"type": "text", "text": "a\0b"}]}, "content"),
        ({"role": "user", "content": "a\0b"}, "content"),
        ({"role": "assistant", "content": "x", "citations": [{"a": "\0"}]}, "citations"),
        ({"role": "user", "content": "x", "metadata": {"a": "\0"}}, "metadata.a"),
    ],
)
async def test_what_a_message_cannot_be_is_refused_by_its_path(
    client: httpx.AsyncClient, message: dict[str, Any], path: str
) -> None:
    made = await make_session(client)
    address = f"/v1/sessions/{made['id']}/messages"
    assert paths_of(problem_of(await client.post(address, json=message), 422, "unprocessable")) == [path]
    several = {"messages": [{"role": "user", "content": "good"}, message]}
    refused = await client.post(address, json=several)
    assert paths_of(problem_of(refused, 422, "unprocessable")) == [f"messages[1].{path}"]
    assert (await read(client, address))["items"] == []


async def test_backslashes_before_zeros_are_text_like_any_other(client: httpx.AsyncClient) -> None:
    made = await make_session(client)
    parts = [{"type": "text", "text": "C:\\u0000 and \\\\u0000"}]
    (stored,) = await say(client, made["id"], {"role": "user", "content": parts})
    assert stored["parts"] == parts


async def test_an_edited_message_says_so_and_keeps_its_place(client: httpx.AsyncClient) -> None:
    made = await make_session(client)
    first, second = await say(client, made["id"], "hello", "world")
    address = f"/v1/sessions/{made['id']}/messages"
    edited = (await client.patch(f"{address}/{first['id']}", json={"content": "good bye"})).json()
    assert (edited["content"], edited["position"]) == ("good bye", 1)
    assert edited["edited_at"] is not None
    tagged = (await client.patch(f"{address}/{second['id']}", json={"metadata": {"good": True}})).json()
    assert (tagged["edited_at"], tagged["metadata"]) == (None, {"good": True})
    assert (await read(client, f"{address}/{first['id']}")) == edited
    assert [one["content"] for one in (await read(client, address))["items"]] == ["good bye", "world"]
    bad = await client.patch(f"{address}/{first['id']}", json={"content": [{"type": "text"}]})
    assert paths_of(problem_of(bad, 422, "unprocessable")) == ["content[0].text"]


async def test_a_deleted_message_keeps_its_place_and_says_nothing(client: httpx.AsyncClient) -> None:
    made = await make_session(client)
    secret = {"role": "assistant", "content": "secret", "citations": [{"number": 1}], "metadata": {"a": "secret"}}
    stored = await say(client, made["id"], "one", secret, "three")
    address = f"/v1/sessions/{made['id']}/messages"
    assert (await client.delete(f"{address}/{stored[1]['id']}")).status_code == 204
    found = await client.get(address)
    assert "secret" not in found.text
    items = found.json()["items"]
    assert [one["position"] for one in items] == [1, 2, 3]
    assert items[1]["deleted_at"] is not None
    assert [one["content"] for one in await read(client, address, format="openai")] == ["one", "three"]
    assert (await read(client, f"{address}/{stored[1]['id']}"))["deleted_at"]
    problem_of(await client.delete(f"{address}/{stored[1]['id']}"), 404, "not-found")
    problem_of(await client.patch(f"{address}/{stored[1]['id']}", json={"content": "x"}), 404, "not-found")
    other = await make_session(client)
    problem_of(await client.get(f"/v1/sessions/{other['id']}/messages/{stored[0]['id']}"), 404, "not-found")
    (next_one,) = await say(client, made["id"], "four")
    assert next_one["position"] == 4


async def test_the_previous_cursor_turns_round(client: httpx.AsyncClient) -> None:
    made = await make_session(client)
    await say(client, made["id"], *(f"{number}" for number in range(1, 31)))
    address = f"/v1/sessions/{made['id']}/messages"
    newest = await read(client, address, limit=10)
    older = await read(client, address, cursor=newest["next_cursor"], limit=10)
    assert [one["position"] for one in older["items"]] == list(range(11, 21))
    back = await read(client, address, cursor=older["previous_cursor"], limit=10)
    assert back["items"] == newest["items"]
    assert back["next_cursor"] is None
    assert (await read(client, address, cursor=newest["previous_cursor"]))["items"] == []
    await say(client, made["id"], "31")
    since = await read(client, address, cursor=newest["previous_cursor"])
    assert [one["content"] for one in since["items"]] == ["31"]


async def test_readers_only_ever_see_a_prefix(wide_client: httpx.AsyncClient) -> None:
    made = await make_session(wide_client)
    address = f"/v1/sessions/{made['id']}/messages"
    writing = True

    async def write(number: int) -> None:
        for turn in range(20):
            await say(wide_client, made["id"], f"{number}/{turn} a", f"{number}/{turn} b")

    async def look() -> int:
        looked = 0
        while writing:
            found = (await read(wide_client, address, after=0, limit=1000))["items"]
            assert [one["position"] for one in found] == list(range(1, len(found) + 1))
            assert len(found) % 2 == 0
            looked += 1
        return looked

    looking = [asyncio.create_task(look()) for _ in range(2)]
    await asyncio.gather(*[write(number) for number in range(8)])
    writing = False
    assert all(count > 1 for count in await asyncio.gather(*looking))
    found = (await read(wide_client, address, after=0, limit=1000))["items"]
    assert len(found) == 320
    for number in range(8):
        own = [one["content"] for one in found if one["content"].startswith(f"{number}/")]
        assert own == [f"{number}/{turn} {half}" for turn in range(20) for half in "ab"]


async def test_an_append_that_is_sent_again_adds_nothing(client: httpx.AsyncClient) -> None:
    made = await make_session(client)
    address, body = f"/v1/sessions/{made['id']}/messages", {"messages": [{"role": "user", "content": "once"}] * 2}
    answers = [await client.post(address, json=body, headers={"Idempotency-Key": "k"}) for _ in range(3)]
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert len((await read(client, address))["items"]) == 2
