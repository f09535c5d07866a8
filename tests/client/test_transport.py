import time
from collections.abc import Callable
from uuid import UUID

import httpx
import msgspec
import pytest

from ragstore.chat.schemas import MessageCreate
from ragstore.client import Client, RagstoreClientError
from ragstore.ingestion.schemas import DocumentUpsert

Handler = Callable[[httpx.Request], httpx.Response]
ID = UUID("01890000-0000-7000-8000-000000000000")
COLLECTION = {
    "id": str(ID), "name": "a b", "title": None, "embedding_model": "local", "chunking": {"size": 512, "overlap": 64},
    "metric": "cosine",
    "language": "english", "metadata": {}, "document_count": 0, "chunk_count": 0,
    "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
}  # fmt: skip


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def make_client(handler: Handler) -> Client:
    return Client("http://service.test", "the-key", transport=httpx.MockTransport(handler))


def answer_in_turn(*responses: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        response = responses[len(asked)]
        asked.append(request)
        if isinstance(response, Exception):
            raise response
        return response

    return handle, asked


def problem(status: int, **headers: str) -> httpx.Response:
    body = {
        "type": "urn:ragstore:error:invalid-filter",
        "title": "The filter is not valid",
        "status": status,
        "detail": "filter.year: no such operator.",
        "errors": [{"path": "filter.year", "message": "no such operator"}],
        "request_id": "r1",
    }
    return httpx.Response(status, json=body, headers=headers)


def test_a_problem_becomes_an_error_with_its_parts() -> None:
    handle, asked = answer_in_turn(problem(422))
    with make_client(handle) as client, pytest.raises(RagstoreClientError) as caught:
        client.search("books", "x")
    error = caught.value
    assert (error.status, error.type, error.request_id) == (422, "urn:ragstore:error:invalid-filter", "r1")
    assert [(one.path, one.message) for one in error.errors] == [("filter.year", "no such operator")]
    assert str(error) == "filter.year: no such operator."
    assert asked[0].headers["Authorization"] == "Bearer the-key"
    assert msgspec.json.decode(asked[0].content) == {"query": "x"}


def test_a_busy_service_is_asked_again_when_it_says(naps: list[float]) -> None:
    busy = httpx.Response(503, headers={"Retry-After": "3"})
    handle, asked = answer_in_turn(busy, httpx.ReadError("reset"), httpx.Response(200, json={"hits": []}))
    with make_client(handle) as client:
        assert client.search("books", "x").hits == []
    assert len(asked) == 3
    assert 3 <= naps[0] <= 3.75
    assert naps[1] < 1


def test_retries_end(naps: list[float]) -> None:
    handle, asked = answer_in_turn(*[problem(503)] * 9)
    with make_client(handle) as client, pytest.raises(RagstoreClientError) as caught:
        client.health()
    assert caught.value.status == 503
    assert len(asked) == 5
    assert sum(naps) < 10


def test_what_may_not_happen_twice_is_sent_once() -> None:
    handle, asked = answer_in_turn(problem(503), httpx.ReadError("reset"))
    with make_client(handle) as client:
        with pytest.raises(RagstoreClientError):
            client.append_messages(ID, [MessageCreate("user", "hello")])
        with pytest.raises(RagstoreClientError):
            client.upsert_documents("books", [DocumentUpsert("text", "key"), DocumentUpsert("text without a key")])
    assert len(asked) == 2


def test_documents_with_keys_are_sent_again() -> None:
    handle, asked = answer_in_turn(
        httpx.ConnectError("refused"), httpx.Response(200, json={"results": [], "job": None})
    )
    with make_client(handle) as client:
        client.upsert_documents("books", [DocumentUpsert("text", "key")])
    assert len(asked) == 2


def test_no_connection_is_one_clear_line() -> None:
    handle, _ = answer_in_turn(*[httpx.ConnectError("[Errno 111] Connection refused")] * 9)
    with make_client(handle) as client, pytest.raises(RagstoreClientError) as caught:
        client.health()
    assert caught.value.status is None
    assert str(caught.value) == "No connection to http://service.test: [Errno 111] Connection refused"


def test_a_slow_answer_is_not_waited_for_again() -> None:
    handle, asked = answer_in_turn(httpx.ReadTimeout("slow"))
    with make_client(handle) as client, pytest.raises(RagstoreClientError, match="took too long"):
        client.health()
    assert len(asked) == 1


@pytest.mark.parametrize("body", [b"<html>", b'{"status": 1}', b""])
def test_another_service_is_recognised(body: bytes) -> None:
    handle, _ = answer_in_turn(httpx.Response(200, content=body))
    with make_client(handle) as client, pytest.raises(RagstoreClientError, match="did not answer like a ragstore"):
        client.health()


def test_an_error_without_a_problem_still_says_something() -> None:
    handle, _ = answer_in_turn(httpx.Response(502, content=b"<html>bad gateway"))
    with make_client(handle) as client, pytest.raises(RagstoreClientError, match=r"service\.test answered 502"):
        client.health()


def test_a_missing_collection_is_made_once() -> None:
    handle, asked = answer_in_turn(problem(404), problem(409), httpx.Response(200, json=COLLECTION))
    with make_client(handle) as client:
        assert client.ensure_collection("a b", embedding_model="local").name == "a b"
    assert [one.method for one in asked] == ["GET", "POST", "GET"]
    assert asked[0].url.raw_path == b"/v1/collections/a%20b"


def test_lists_are_walked_page_by_page() -> None:
    handle, asked = answer_in_turn(
        httpx.Response(200, json={"items": [COLLECTION], "next_cursor": "more"}),
        httpx.Response(200, json={"items": [COLLECTION], "next_cursor": None}),
    )
    with make_client(handle) as client:
        assert len(list(client.list_collections())) == 2
    assert "cursor" not in asked[0].url.params
    assert asked[1].url.params["cursor"] == "more"


def test_deleting_documents_sends_the_filter_as_json() -> None:
    handle, asked = answer_in_turn(httpx.Response(200, json={"deleted": 3}))
    with make_client(handle) as client:
        assert client.delete_documents("books", filter={"year": {"$lt": 2000}}) == 3
    assert asked[0].url.params["filter"] == '{"year":{"$lt":2000}}'
