"""`POST …/documents/import`: every line answered, whatever it is."""

import asyncio
import json
from typing import Any

import httpx
from litestar import Litestar

from ragstore.app import create_app
from tests.builders import make_collection, paths_of, problem_of
from tests.conftest import make_settings, running
from tests.ingestion.streaming.conversation import PATH, Conversation, write_lines

LINES = {"Content-Type": "application/x-ndjson"}
DEEP = b'{"metadata": {"a": ' + b"[" * 100_000
GOOD = {"key": "a", "content": "one"}


async def send(client: httpx.AsyncClient, body: bytes, query: str = "") -> list[dict[str, Any]]:
    response = await client.post(PATH + query, content=body, headers=LINES)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


async def read_contents(client: httpx.AsyncClient) -> dict[str, str]:
    page = (await client.get("/v1/collections/docs/documents?include=content&limit=1000")).json()
    assert page["next_cursor"] is None
    return {one["key"]: one["content"] for one in page["items"]}


async def test_every_line_is_answered_in_order(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    body = write_lines([GOOD, {"key": "b", "content": "two", "metadata": {"n": 1}}]) + b"\n  \r\n"
    body += b'{"key": "c", "content"\n[1]\n{"key": "d", "content": 4}\n{"key": "e", "content": " "}\n'
    body += b'{"content": "\xff"}\n'
    body += b'{"key": "f", "content": "x", "contents": "y"}\n' + DEEP + b"\n"
    body += json.dumps({"content": "without a key"}).encode()
    answers = await send(client, body)
    assert [one.get("line") for one in answers] == [1, 2, 5, 6, 7, 8, 9, 10, 11, 12, None]
    statuses = [one.get("status") for one in answers]
    assert statuses == ["created"] * 2 + ["failed"] * 7 + ["created", None]
    faults = [(one["key"], one["error"]["detail"]) for one in answers[2:9]]
    assert [key for key, _ in faults] == [None, None, "d", "e", None, "f", None]
    for (_, detail), says in zip(
        faults,
        ["not JSON", "Expected `ob", "content Exp", "content must", "UTF-8", "contents is", "deeply"],
        strict=True,
    ):
        assert says in detail, detail
        assert "documents[" not in detail
    assert [one["path"] for one in answers[4]["error"]["errors"]] == ["content"]
    assert answers[0] == {
        "line": 1, "key": "a", "id": answers[0]["id"], "status": "created", "version": 1, "chunks": 1, "error": None
    }  # fmt: skip
    assert answers[-1] == {
        "done": True, "lines": 12, "created": 3, "updated": 0, "unchanged": 0, "failed": 7, "chunks": 3
    }  # fmt: skip
    contents = await read_contents(client)
    assert contents == {"a": "one", "b": "two", answers[-2]["key"]: "without a key"}


async def test_sent_again_nothing_changes(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    body = write_lines([{"key": f"{number}", "content": f"text {number}"} for number in range(450)])
    assert (await send(client, body))[-1]["created"] == 450
    answers = await send(client, body)
    assert {one["status"] for one in answers[:-1]} == {"unchanged"}
    assert answers[-1]["unchanged"] == 450


async def test_of_lines_with_the_same_key_the_last_wins(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    answers = await send(client, write_lines([{"key": "ab"[n % 2], "content": f"text {n}"} for n in range(7)]))
    assert [one["version"] for one in answers[:-1]] == [1, 1, 2, 2, 3, 3, 4]
    assert await read_contents(client) == {"a": "text 6", "b": "text 5"}


async def test_only_failures_are_answered_when_wished(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    answers = await send(client, write_lines([GOOD, [], {"key": "b", "content": "two"}]), "?results=failures")
    assert [one.get("line") for one in answers] == [2, None]
    assert (answers[-1]["created"], answers[-1]["failed"]) == (2, 1)


async def test_nothing_is_an_import_too(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    for body in (b"", b"\n\n"):
        (done,) = await send(client, body)
        assert done["done"]


async def test_a_body_may_be_longer_than_others_and_a_line_not(database_url: str) -> None:
    async with running(create_app(make_settings(database_url, max_body_bytes=10_000))) as client:
        await make_collection(client)
        documents = [{"key": f"{number}", "content": "word " * 100} for number in range(50)]
        body = write_lines([*documents[:20], {"key": "long", "content": "x" * 10_000}, *documents[20:]])
        answers = await send(client, body)
        failed = [one for one in answers if one.get("status") == "failed"]
        assert [(one["line"], one["error"]["type"]) for one in failed] == [(21, "urn:ragstore:error:body-too-large")]
        assert answers[-1]["created"] == 50
        problem_of(await client.post("/v1/collections/docs/documents", content=body), 413, "body-too-large")


async def test_a_body_that_ends_within_a_line_says_so(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    answers = await send(client, write_lines([GOOD]) + b'{"key": "b", "content": "tw', "?import=cut")
    assert answers[0]["status"] == "created"
    assert (answers[-1]["done"], answers[-1]["lines"]) == (False, 1)
    assert "within line 2" in answers[-1]["error"]["detail"]
    answers = await send(client, write_lines([GOOD, {"key": "b", "content": "two"}]), "?import=cut")
    assert [one.get("line") for one in answers] == [None, 2, None]


async def test_what_is_wrong_from_the_start_is_a_problem(client: httpx.AsyncClient) -> None:
    problem_of(await client.post(PATH, content=b"", headers=LINES), 404, "not-found")
    await make_collection(client)
    for wrong in ("text/csv", "application/json", "multipart/form-data; boundary=x"):
        response = await client.post(PATH, content=b"", headers={"Content-Type": wrong})
        assert "x-ndjson" in problem_of(response, 415, "unsupported-media-type")["detail"]
    for right in ("application/x-ndjson; charset=utf-8", "application/jsonl", "Application/NDJSON"):
        assert (await client.post(PATH, content=b"", headers={"Content-Type": right})).status_code == 200
    keyed = await client.post(PATH, content=b"", headers=LINES | {"Idempotency-Key": "x"})
    assert "?import=" in problem_of(keyed, 400, "invalid-request")["detail"]
    problem_of(await client.post(PATH, content=b"", headers={"Authorization": "Bearer no"}), 401, "not-authenticated")
    for query, path in (
        ("?import=", "import"),
        ("?import=" + "x" * 201, "import"),
        ("?import=a%00b", "import"),
        ("?after=1", "after"),
        ("?import=a&after=-1", "after"),
        ("?results=some", "results"),
        ("?name=a", "name"),
    ):
        response = await client.post(PATH + query, content=b"", headers=LINES)
        assert paths_of(problem_of(response, 400, "invalid-request")) == [path], query
    problem_of(await client.get(PATH), 400, "invalid-request")
    problem_of(await client.get(f"{PATH}?import=unknown"), 404, "not-found")


async def test_who_waits_for_an_answer_gets_it(app: Litestar, client: httpx.AsyncClient) -> None:
    """One line is no batch, and the sender sends no more before it has its answer."""
    await make_collection(client)
    talk = Conversation(app).begin()
    for number in range(1, 4):
        talk.say(write_lines([{"key": f"{number}", "content": "text"}]))
        await talk.wait_for(number)
    talk.end()
    assert (await talk.over())[-1]["lines"] == 3


async def test_a_sender_who_is_too_fast_has_to_wait(app: Litestar, client: httpx.AsyncClient) -> None:
    await make_collection(client)
    talk = Conversation(app).begin()
    for number in range(40):
        talk.say(write_lines([{"key": f"{number}-{n}", "content": f"text {n}"} for n in range(100)]))
    await talk.wait_for(1)
    assert talk.to_say.qsize() > 25, "so much was read that was not stored yet"
    talk.end()
    assert (await talk.over())[-1]["created"] == 4000


async def test_a_service_that_stops_says_how_far_it_came(app: Litestar, client: httpx.AsyncClient) -> None:
    await make_collection(client)
    talk = Conversation(app, "import=mine").begin()
    talk.say(write_lines([GOOD]))
    await talk.wait_for(1)
    app.state.ragstore.stopping.set()
    end = (await talk.over())[-1]
    assert (end["done"], end["lines"], end["error"]["type"]) == (False, 1, "urn:ragstore:error:unavailable")
    assert end["error"]["retry_after"]
    app.state.ragstore.stopping.clear()
    assert (await send(client, write_lines([GOOD]), "?import=mine"))[0] == {"resumed_after": 1}


async def test_a_collection_that_goes_meanwhile_ends_it(app: Litestar, client: httpx.AsyncClient) -> None:
    await make_collection(client)
    talk = Conversation(app).begin()
    talk.say(write_lines([GOOD]))
    await talk.wait_for(1)
    assert (await client.delete("/v1/collections/docs")).status_code == 200
    talk.say(write_lines([{"key": "b", "content": "two"}]))
    await talk.wait_for(2)
    assert talk.answers[-1]["error"]["status"] == 404
    talk.end()
    await talk.over()
    await asyncio.sleep(0)
