"""Passages and vectors that come ready: stored as they came, or refused by their place."""

import base64
from typing import Any

import httpx
import numpy as np
import pytest

from ragstore.database import Database
from ragstore.ingestion.ready import read_ready
from ragstore.ingestion.schemas import ChunkUpsert, DocumentUpsert
from tests.builders import make_collection, problem_of, search, upsert
from tests.conftest import running
from tests.fake_openai import FakeOpenAI
from tests.ingestion.stored import provided_app, read_rows
from tests.search.stored import list_wrong_counts

CONTENT = "Cats sleep.\n\nDogs bark. 😀 Cats sleep."
URL = "/v1/collections/docs/documents"


def to_base64(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, dtype="<f4").tobytes()).decode()


def wide(*numbers: float, width: int = 256) -> list[float]:
    """As wide as the local model's vectors."""
    return [*numbers, *[0.0] * (width - len(numbers))]


async def list_chunks(client: httpx.AsyncClient, document_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await client.get(f"{URL}/{document_id}/chunks")).json()["items"]
    return items


async def test_chunks_are_stored_as_they_came_with_their_metadata(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    chunks: list[dict[str, Any]] = [
        {"content": "Cats sleep.", "metadata": {"page": 1, "kind": "cat"}},
        {"content": "Dogs bark. 😀", "start": 13, "end": 25},
        {"content": "Cats sleep.", "metadata": {"page": 2}},
    ]
    (made,) = await upsert(client, {"content": CONTENT, "metadata": {"kind": "all", "year": 1}, "chunks": chunks})
    assert made["chunks"] == 3
    stored = await list_chunks(client, made["id"])
    assert [(one["start"], one["end"]) for one in stored] == [(0, 11), (13, 25), (26, 37)]
    assert [CONTENT[one["start"] : one["end"]] for one in stored] == [one["content"] for one in chunks]
    assert [one["metadata"] for one in stored] == [{"page": 1, "kind": "cat"}, {}, {"page": 2}]
    assert all(one["token_count"] > 0 for one in stored)
    hits = await search(client, query="cats sleep", top_k=3)
    assert {hit["ordinal"]: hit["metadata"] for hit in hits} == {
        0: {"kind": "cat", "year": 1, "page": 1},
        1: {"kind": "all", "year": 1},
        2: {"kind": "all", "year": 1, "page": 2},
    }
    for mode in ("text", "vector"):
        (hit,) = await search(client, query="cats sleep", mode=mode, top_k=1)
        assert hit["metadata"]["page"] in (1, 2)


async def test_content_that_is_left_out_is_the_chunks(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    (made,) = await upsert(client, {"chunks": [{"content": "One."}, {"content": "Two."}, {"content": "One."}]})
    document = (await client.get(f"{URL}/{made['id']}")).json()
    assert document["content"] == "One.\n\nTwo.\n\nOne."
    assert [(one["start"], one["end"]) for one in await list_chunks(client, made["id"])] == [(0, 4), (6, 10), (12, 16)]


def find(content: str, *texts: str) -> list[tuple[int, int]]:
    ready = read_ready("d", DocumentUpsert(content, chunks=[ChunkUpsert(one) for one in texts]), content)
    assert ready is not None
    assert not ready.faults
    return list(ready.places)


def test_chunks_that_share_text_or_leave_much_out_are_found() -> None:
    assert find("one two three four", "one two three", "three four") == [(0, 13), (8, 18)]
    gap = "-" * 5000
    assert find(f"one{gap}two{gap}one", "one", "two", "one") == [(0, 3), (5003, 5006), (10006, 10009)]
    assert find("aaaa", "aa", "aa") == [(0, 2), (2, 4)]
    assert find("abab", "aba", "bab") == [(0, 3), (1, 4)]


async def test_ready_vectors_are_searched_by_and_cost_no_call(database_url: str) -> None:
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        results = await upsert(
            client,
            {"key": "one", "content": " granite\n", "vector": wide(3, 4, width=1536)},
            {
                "key": "many",
                "chunks": [
                    {"content": "a", "vector": wide(0, 2, width=1536)},
                    {"content": "b", "vector": to_base64(*wide(1, 1, width=1536))},
                ],
            },
        )
        assert [one["status"] for one in results] == ["created", "created"]
        assert not fake.calls
        hits = await search(client, vector=[0.6, 0.8] + [0] * 1534, include=["content", "vector"], mode="vector")
        assert [hit["content"] for hit in hits] == ["granite", "b", "a"]
        np.testing.assert_allclose([hit["score"] for hit in hits], [1, 1.4 / 2**0.5, 0.8], atol=1e-6)
        np.testing.assert_allclose(hits[0]["vector"][:3], [0.6, 0.8, 0], atol=1e-7)
        assert (hits[0]["start"], hits[0]["end"]) == (1, 8)
        mixed = {"key": "mixed", "chunks": [{"content": "c", "vector": wide(1, width=1536)}, {"content": "d"}]}
        await upsert(client, mixed)
        assert [call.texts for call in fake.calls] == [["d"]]


async def test_lengths_are_kept_where_the_metric_counts_them(client: httpx.AsyncClient, database: Database) -> None:
    for name in ("inner_product", "l2", "cosine"):
        await make_collection(client, name, metric=name)
        await upsert(client, {"key": "a", "content": "x", "vector": wide(3, 4)}, collection=name)
    rows = await read_rows(
        database, "SELECT k.metric, e.norm FROM embedding e JOIN collection k ON k.id = e.collection_id"
    )
    assert dict(tuple(row) for row in rows) == {"inner_product": 5.0, "l2": 5.0, "cosine": 1.0}
    (hit,) = await search(client, "inner_product", vector=[1, 0] + [0] * 1534, mode="vector")
    assert hit["score"] == pytest.approx(3)


async def test_the_same_again_is_unchanged_and_any_other_is_not(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    given: dict[str, Any] = {
        "key": "a",
        "content": "x y",
        "chunks": [{"content": "x", "vector": wide(1, 2)}, {"content": "y"}],
    }
    await upsert(client, given)
    same = [{"content": "x", "vector": to_base64(*wide(1, 2)), "start": 0, "end": 1}, {"content": "y", "metadata": {}}]
    for chunks in (given["chunks"], same):
        (again,) = await upsert(client, given | {"chunks": chunks})
        assert again["status"] == "unchanged"
    others = [
        [{"content": "x", "vector": wide(1, 3)}, {"content": "y"}],
        [{"content": "x", "vector": wide(1, 3, width=1536)}, {"content": "y"}],
        [{"content": "x"}, {"content": "y", "vector": wide(1, 3)}],
        [{"content": "x"}, {"content": "y", "metadata": {"page": 1}, "vector": wide(1, 3)}],
        [{"content": "x y"}],
    ]
    for chunks in others:
        (again,) = await upsert(client, given | {"chunks": chunks})
        assert again["status"] == "updated"
    (cut,) = await upsert(client, {"key": "a", "content": "x y"})
    assert cut["status"] == "updated"


NAN, INFINITE, ZERO = to_base64(1, float("nan")), to_base64(float("inf"), 1), to_base64(0, 0)
FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"content": "a", "vector": []}, "vector", "1 to 1536 dimensions, has 0"),
    ({"content": "a", "vector": [1] * 1537}, "vector", "1 to 1536 dimensions, has 1537"),
    ({"content": "a", "vector": NAN}, "vector", "number 1 is nan"),
    ({"content": "a", "vector": INFINITE}, "vector", "number 0 is inf"),
    ({"content": "a", "vector": [0, 1e39]}, "vector", "number 1 is inf"),
    ({"content": "a", "vector": ZERO}, "vector", "must not be all zero"),
    ({"content": "a", "vector": [1e-30]}, "vector", "too short or too long"),
    ({"content": "a", "vector": [3e38]}, "vector", "too short or too long"),
    ({"content": "a", "vector": "not base64!"}, "vector", "must be base64"),
    ({"content": "a", "vector": "AAAA"}, "vector", "3 bytes are not a multiple of 4"),
    ({"content": "a", "vector": "ä"}, "vector", "must be base64"),
    ({"content": "a", "vector": ["1"]}, "vector[0]", "Expected"),
    ({"content": "a", "vector": [1], "chunks": [{"content": "a"}]}, "vector", "stands with `chunks`"),
    ({"content": "a", "chunks": []}, "chunks", "must not be empty"),
    ({"chunks": []}, "chunks", "must not be empty"),
    ({}, "content", "is missing"),
    ({"chunks": [{"content": "a"}, {"content": " \n"}]}, "chunks[1].content", "must hold some text"),
    ({"content": "a b", "chunks": [{"content": "b"}, {"content": "a"}]}, "chunks[1].content", "is not in the document"),
    ({"content": "a b", "chunks": [{"content": "b", "start": 0, "end": 1}]}, "chunks[0].content", "is not what"),
    ({"content": "a b", "chunks": [{"content": "b", "start": 2}]}, "chunks[0].end", "is missing"),
    ({"content": "a b", "chunks": [{"content": "b", "end": 2}]}, "chunks[0].start", "is missing"),
    ({"content": "a b", "chunks": [{"content": "b", "start": -1, "end": 3}]}, "chunks[0].start", "from 0 to below"),
    ({"content": "a b", "chunks": [{"content": "b", "start": 2, "end": 2}]}, "chunks[0].start", "from 0 to below"),
    ({"content": "a b", "chunks": [{"content": "b", "start": 2, "end": 10**30}]}, "chunks[0].end", "beyond"),
    ({"chunks": [{"content": "a", "metadata": {"k": "\x00"}}]}, "chunks[0].metadata.k", "NUL"),
    ({"chunks": [{"content": "a\x00"}]}, "content", "NUL"),
    ({"chunks": [{"content": "a", "page": 1}]}, "chunks[0].page", "is not a field here"),
    ({"chunks": [{}]}, "chunks[0].content", "is missing"),
    (
        {"chunks": [{"content": "a", "vector": [1, 2]}, {"content": "b"}, {"content": "c", "vector": [1, 2, 3]}]},
        "chunks[2].vector",
        "must have 2 dimensions as the vectors before it, has 3",
    ),
    ({"chunks": [{"content": "a", "vector": [1]}, {"content": "b", "vector": ZERO}]}, "chunks[1].vector", "2"),
]


async def test_what_cannot_be_used_is_named_by_its_place_and_spoils_nothing_else(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    bad = [{"key": str(number), **document} for number, (document, _, _) in enumerate(FAULTS)]
    results = await upsert(client, *bad, {"key": "good", "content": "x", "vector": wide(1)})
    assert [one["status"] for one in results] == ["failed"] * len(FAULTS) + ["created"]
    for number, (one, (_, path, message)) in enumerate(zip(results[:-1], FAULTS, strict=True)):
        assert one["error"]["type"] == "urn:ragstore:error:invalid-document"
        fault = one["error"]["errors"][0]
        assert fault["path"] == f"documents[{number}].{path}"
        assert message in fault["message"]
    assert (await client.get("/v1/collections/docs")).json()["document_count"] == 1


async def test_thousands_of_bad_chunks_are_answered_shortly(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    document = {"content": "x" * 1_000_000, "chunks": [{"content": "y"}] * 20_000}
    response = await client.post(URL, json={"documents": [document]})
    assert len(problem_of(response, 422, "invalid-document")["errors"]) == 20


async def test_counts_are_right_when_ready_passages_replace_others(
    client: httpx.AsyncClient, database: Database
) -> None:
    await make_collection(client)
    await upsert(client, {"key": "a", "content": "granite and basalt"})
    chunks = [{"content": "granite", "vector": wide(1)}, {"content": "basalt", "vector": wide(0, 1)}]
    await upsert(client, {"key": "a", "chunks": chunks})
    await upsert(client, {"key": "a", "chunks": [chunks[1], {"content": "slate", "vector": wide(1, 1)}]})
    assert not await list_wrong_counts(database)
    assert not await search(client, query="granite", mode="text")
    (hit,) = await search(client, query="basalt", mode="text")
    assert (hit["ordinal"], hit["start"]) == (0, 0)


async def test_vectors_that_are_not_as_wide_as_the_models_are_refused_by_place(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    ready = [{"content": "a"}, {"content": "b", "vector": [1.0] * 10}]
    documents = [{"key": "good", "content": "c"}, {"key": "bad", "chunks": ready}]
    response = await client.post("/v1/collections/docs/documents", json={"documents": documents})
    good, bad = response.json()["results"]
    assert (good["status"], bad["status"]) == ("created", "failed")
    assert bad["error"]["errors"][0]["path"] == "documents[1].chunks[1].vector"
    assert "256 or 1536" in bad["error"]["detail"]
