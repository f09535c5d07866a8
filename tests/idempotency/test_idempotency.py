"""`Idempotency-Key`: a write that is sent twice happens once."""

import asyncio
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from ragstore.app import create_app
from ragstore.database import Database
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import PoolExhausted
from ragstore.idempotency.service import Recorder
from tests.builders import make_collection, open_session, problem_of, upsert
from tests.conftest import make_settings, running
from tests.fake_openai import FakeOpenAI, Fault

SAID = {"role": "user", "content": "hello"}


def keyed(key: str, **headers: str) -> dict[str, str]:
    return {"Idempotency-Key": key} | headers


async def count_messages(client: httpx.AsyncClient, session_id: str) -> int:
    return len((await client.get(f"/v1/sessions/{session_id}/messages")).json()["items"])


async def test_the_same_write_again_is_answered_without_happening(client: httpx.AsyncClient) -> None:
    address = f"/v1/sessions/{await open_session(client)}/messages"
    first = await client.post(address, json=SAID, headers=keyed("a"))
    again = await client.post(address, json=SAID, headers=keyed("a"))
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    other = await client.post(address, json=SAID, headers=keyed("b"))
    assert other.json()["position"] == 2


async def test_every_write_honours_the_key(app: Litestar, client: httpx.AsyncClient) -> None:
    """Walks all routes: one that forgets to record its answer would leave the key claimed and answer 409."""
    await make_collection(client)
    results = await upsert(client, *[{"key": f"{number}", "content": f"text {number}"} for number in range(4)])
    session_id, other_id = await open_session(client), await open_session(client)
    said = [(await client.post(f"/v1/sessions/{session_id}/messages", json=SAID)).json() for _ in range(2)]
    calls: dict[tuple[str, str], tuple[str, Any]] = {
        ("POST", "/v1/collections"): ("/v1/collections", {"name": "other"}),
        ("PATCH", "/v1/collections/{name}"): ("/v1/collections/docs", {"title": "T"}),
        ("PUT", "/v1/collections/{name}/index"): ("/v1/collections/docs/index", {"mode": "off"}),
        ("DELETE", "/v1/collections/{name}"): ("/v1/collections/other", None),
        ("POST", "/v1/collections/{collection}/documents"): (
            "/v1/collections/docs/documents",
            {"documents": [{"content": "without a key"}]},
        ),
        ("PATCH", "/v1/collections/{collection}/documents/{document_id}"): (
            f"/v1/collections/docs/documents/{results[0]['id']}",
            {"metadata": {"a": 1}},
        ),
        ("DELETE", "/v1/collections/{collection}/documents/{document_id}"): (
            f"/v1/collections/docs/documents/{results[1]['id']}",
            None,
        ),
        ("DELETE", "/v1/collections/{collection}/documents"): ("/v1/collections/docs/documents?key=2", None),
        ("POST", "/v1/sessions"): ("/v1/sessions", {"title": "new"}),
        ("PATCH", "/v1/sessions/{session_id}"): (f"/v1/sessions/{session_id}", {"title": "T"}),
        ("DELETE", "/v1/sessions/{session_id}"): (f"/v1/sessions/{other_id}", None),
        ("POST", "/v1/sessions/{session_id}/fork"): (f"/v1/sessions/{session_id}/fork", {}),
        ("POST", "/v1/sessions/{session_id}/messages"): (f"/v1/sessions/{session_id}/messages", SAID),
        ("PATCH", "/v1/sessions/{session_id}/messages/{message_id}"): (
            f"/v1/sessions/{session_id}/messages/{said[0]['id']}",
            {"content": "bye"},
        ),
        ("DELETE", "/v1/sessions/{session_id}/messages/{message_id}"): (
            f"/v1/sessions/{session_id}/messages/{said[1]['id']}",
            None,
        ),
        ("POST", "/v1/messages"): ("/v1/messages", {"session_key": "s", **SAID}),
        ("POST", "/v1/users"): ("/v1/users", {"email": "a@example.org"}),
        ("POST", "/v1/collections/{collection}/files"): (
            "/v1/collections/docs/files?wait=false",
            [("file", ("a.txt", b"words"))],
        ),
        ("POST", "/v1/keys"): ("/v1/keys", {"name": "k", "scopes": ["read"]}),
    }
    document = (await client.get("/schema/openapi.json")).json()
    writes = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method != "get" and not path.endswith(("/search", "/documents/import"))  # a stream is resumed by its name
    }
    elsewhere = {call for call in writes if call[1].startswith(("/v1/jobs/", "/v1/users/", "/v1/keys/"))}
    elsewhere |= {call for call in writes if "/reembed" in call[1]}  # steps that need two models and an order
    elsewhere |= {("POST", "/v1/sessions/{session_id}/answer")}  # needs a chat model: tests/chat/test_answers.py
    assert writes - set(calls) - elsewhere == set()
    for number, (method, (address, body)) in enumerate(
        [(call[0], request) for call, request in calls.items() if call in writes]
    ):
        given: Any = {"files": body} if isinstance(body, list) else {"json": body}
        first = await client.request(method, address, **given, headers=keyed(f"{number}"))
        assert first.status_code < 300, (method, address, first.text)
        again = await client.request(method, address, **given, headers=keyed(f"{number}"))
        assert again.status_code == first.status_code, (method, address, again.text)
        assert again.headers.get("idempotent-replayed") == "true"
        if address not in ("/v1/keys",):
            assert again.content == first.content


async def test_another_body_under_the_same_key_is_refused(client: httpx.AsyncClient) -> None:
    address = f"/v1/sessions/{await open_session(client)}/messages"
    await client.post(address, json=SAID, headers=keyed("a"))
    other = await client.post(address, json=SAID | {"content": "bye"}, headers=keyed("a"))
    problem_of(other, 422, "idempotency-mismatch")


async def test_keys_of_different_tenants_and_api_keys_do_not_meet(client: httpx.AsyncClient, stranger_key: str) -> None:
    first = await client.post("/v1/sessions", json={"title": "mine"}, headers=keyed("a"))
    stranger = await client.post(
        "/v1/sessions", json={"title": "theirs"}, headers=keyed("a", Authorization=f"Bearer {stranger_key}")
    )
    assert (first.status_code, stranger.status_code) == (201, 201)
    assert stranger.json()["title"] == "theirs"


async def test_a_refused_request_may_be_sent_again(client: httpx.AsyncClient) -> None:
    missing = await client.patch("/v1/collections/docs", json={"title": "T"}, headers=keyed("a"))
    problem_of(missing, 404, "not-found")
    await make_collection(client)
    again = await client.patch("/v1/collections/docs", json={"title": "T"}, headers=keyed("a"))
    assert again.status_code == 200


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\tb", "é".encode().decode("latin-1")])
async def test_a_key_that_is_none_is_refused(client: httpx.AsyncClient, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode("latin-1")}
    response = await client.post("/v1/sessions", json={}, headers=headers)
    problem_of(response, 400, "invalid-request")


async def test_fifty_at_once_have_one_effect(wide_client: httpx.AsyncClient) -> None:
    session_id = await open_session(wide_client)
    address = f"/v1/sessions/{session_id}/messages"
    for key in ("a", "b", "c"):
        sent = [wide_client.post(address, json=SAID, headers=keyed(key)) for _ in range(50)]
        answers = await asyncio.gather(*sent)
        statuses = {answer.status_code for answer in answers}
        assert statuses <= {201, 409}
        assert len({answer.text for answer in answers if answer.status_code == 201}) == 1
        for answer in answers:
            if answer.status_code == 409:
                problem_of(answer, 409, "idempotency-in-flight")
                assert answer.headers["retry-after"]
        assert (await wide_client.post(address, json=SAID, headers=keyed(key))).status_code == 201
    assert await count_messages(wide_client, session_id) == 3


def provided_app(database_url: str, fake: FakeOpenAI) -> Litestar:
    values = {"openai_api_key": "sk-test", "openai_base_url": "http://provider/v1", "embedding_retries": 0}
    settings = make_settings(database_url, pool_size=3, **values)
    return create_app(settings, embedders=EmbedderRegistry(settings, transport=fake.transport()))


async def test_documents_without_a_key_are_stored_once(database_url: str) -> None:
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        body = {"documents": [{"content": "one"}, {"content": " "}]}
        fake.script(Fault(delay=0.3))
        posting = asyncio.create_task(client.post("/v1/collections/docs/documents", json=body, headers=keyed("a")))
        await asyncio.sleep(0.1)
        early = await client.post("/v1/collections/docs/documents", json=body, headers=keyed("a"))
        problem_of(early, 409, "idempotency-in-flight")
        first = await posting
        again = await client.post("/v1/collections/docs/documents", json=body, headers=keyed("a"))
        assert first.status_code == 200
        assert again.json() == first.json()
        assert (await client.get("/v1/collections/docs")).json()["document_count"] == 1


async def test_a_request_whose_lease_ran_out_has_no_effect_any_more(database_url: str, database: Database) -> None:
    """Its worker hung past the lease and another request took the key over: only that one's effect stays."""
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        body = {"documents": [{"content": "one"}]}
        fake.script(Fault(delay=0.5))
        slow = asyncio.create_task(client.post("/v1/collections/docs/documents", json=body, headers=keyed("a")))
        await asyncio.sleep(0.2)
        async with database.transaction() as session:
            connection = await session.connection()
            await connection.execute(text("UPDATE idempotency_record SET lease_until = now() - interval '1 second'"))
        quick = await client.post("/v1/collections/docs/documents", json=body, headers=keyed("a"))
        assert quick.status_code == 200
        problem_of(await slow, 409, "conflict")
        assert (await client.get("/v1/collections/docs")).json()["document_count"] == 1


async def test_a_claim_that_cannot_be_let_go_does_not_hide_the_error(
    app: Litestar, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool is empty when the handler fails, and so it is for the release."""

    async def fail(self: Recorder) -> None:
        raise PoolExhausted(retry_after=1)

    monkeypatch.setattr(Recorder, "release", fail)
    missing = await client.patch("/v1/collections/none", json={"title": "T"}, headers=keyed("a"))
    problem_of(missing, 404, "not-found")
