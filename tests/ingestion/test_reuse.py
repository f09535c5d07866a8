"""Only what changed is embedded, and what was paid for is not paid for again."""

import asyncio
from typing import Any

import httpx
import pytest

from ragstore.database import Database
from tests.builders import make_collection, problem_of, search, upsert
from tests.conftest import running
from tests.fake_openai import FakeOpenAI, Fault
from tests.ingestion.stored import provided_app, read_rows, texts_of
from tests.search.stored import list_wrong_counts

URL = "/v1/collections/docs/documents"


def make_document(key: int, changed: dict[int, str] | None = None, chunks: int = 20) -> dict[str, Any]:
    texts = [f"Passage {number} of document {key}." for number in range(chunks)]
    for number, text in (changed or {}).items():
        texts[number] = text
    return {"key": str(key), "title": "T", "chunks": [{"content": one} for one in texts]}


async def read_ids(client: httpx.AsyncClient, document_id: str) -> dict[str, str]:
    items = (await client.get(f"{URL}/{document_id}/chunks", params={"limit": 100})).json()["items"]
    assert [one["ordinal"] for one in items] == list(range(len(items)))
    content = (await client.get(f"{URL}/{document_id}")).json()["content"]
    assert [content[one["start"] : one["end"]] for one in items] == [one["content"] for one in items]
    return {one["content"]: one["id"] for one in items}


async def test_editing_one_chunk_in_a_hundred_embeds_exactly_these(database_url: str, database: Database) -> None:
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        results = await upsert(client, *[make_document(key) for key in range(20)])
        assert len(texts_of(fake)) == 400
        before = await read_ids(client, results[3]["id"])
        fake.calls.clear()
        edits = {3: {5: "Something longer than it was before."}, 7: {0: "First.", 19: "Last."}, 11: {10: "Middle."}}
        again = await upsert(client, *[make_document(key, edits.get(key)) for key in range(20)])
        assert [int(one["key"]) for one in again if one["status"] == "updated"] == [3, 7, 11]
        wanted = [f"T\n\n{text}" for edit in edits.values() for text in edit.values()]
        assert sorted(texts_of(fake)) == sorted(wanted)
        after = await read_ids(client, results[3]["id"])
        assert {text for text, chunk_id in after.items() if before.get(text) != chunk_id} == {
            "Something longer than it was before."
        }
        assert not await list_wrong_counts(database)
        (hit,) = await search(client, query="T\n\nSomething longer than it was before.", mode="vector", top_k=1)
        assert (hit["document_key"], hit["ordinal"]) == ("3", 5)
        assert not await search(client, query='"passage 5 of document 3"', mode="text")


async def test_passages_that_move_keep_their_rows(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    first = [{"content": text, "metadata": {"page": 1}} for text in ("one", "two", "three", "two", "four")]
    (made,) = await upsert(client, {"key": "a", "chunks": first})
    before = await read_ids(client, made["id"])
    moved = ["four", "zero", "two", "one", "two", "three", "three"]
    (again,) = await upsert(
        client, {"key": "a", "chunks": [{"content": one, "metadata": {"page": 2}} for one in moved]}
    )
    assert (again["status"], again["chunks"]) == ("updated", 7)
    items = (await client.get(f"{URL}/{made['id']}/chunks")).json()["items"]
    assert [one["content"] for one in items] == moved
    assert {one["metadata"]["page"] for one in items} == {2}
    after = await read_ids(client, made["id"])
    assert all(after[text] == before[text] for text in ("one", "four"))
    assert not await list_wrong_counts(database)
    rows = await read_rows(database, "SELECT count(*), count(DISTINCT chunk_id) FROM embedding")
    assert tuple(rows[0]) == (7, 7)


async def test_another_title_or_prefix_is_another_text(database_url: str) -> None:
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        await upsert(client, {"key": "a", "content": "text", "title": "One"})
        await upsert(client, {"key": "a", "content": "text", "title": "Two"})
        await client.patch("/v1/collections/docs", json={"chunking": {"prefix": "none"}})
        await upsert(client, {"key": "a", "content": "text", "title": "Two"})
        assert texts_of(fake) == ["One\n\ntext", "Two\n\ntext", "text"]


async def test_the_same_text_is_paid_for_once_whatever_document_it_is_in(database_url: str) -> None:
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        await upsert(client, {"key": "a", "content": "text"}, {"key": "b", "content": "text"})
        await upsert(client, {"key": "c", "content": "text"})
        await client.delete(URL, params={"key": "a"})
        await upsert(client, {"key": "a", "content": "text"})
        assert texts_of(fake) == ["text"]
        assert len(await search(client, query="text", mode="vector")) == 3


async def test_a_ready_vector_is_not_taken_for_the_models(database_url: str) -> None:
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        await upsert(client, {"key": "a", "content": "text", "vector": [1] + [0] * 1535})
        await upsert(client, {"key": "a", "content": "text", "title": None})
        assert texts_of(fake) == ["text"]


async def test_the_cache_is_a_tenants_and_a_models_own(database_url: str, database: Database) -> None:
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        await make_collection(client, "other", embedding_model="text-embedding-3-large")
        await upsert(client, {"key": "a", "content": "text"})
        await upsert(client, {"key": "a", "content": "text"}, collection="other")
        assert texts_of(fake) == ["text", "text"]
    rows = await read_rows(
        database, "SELECT count(*), count(DISTINCT model_id), count(DISTINCT digest) FROM embedding_cache"
    )
    assert tuple(rows[0]) == (2, 2, 1)


async def test_the_local_model_needs_no_cache(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await upsert(client, {"key": "a", "content": "text"})
    assert not await read_rows(database, "SELECT digest FROM embedding_cache")


@pytest.mark.parametrize("status", [500, 429, 401])
async def test_after_a_failure_only_the_rest_is_paid_for(database_url: str, status: int) -> None:
    fake = FakeOpenAI()
    app = provided_app(database_url, fake, embedding_batch_texts=10, embedding_concurrency=1)
    async with running(app) as client:
        await make_collection(client)
        body = {"documents": [make_document(0, chunks=100)]}
        fake.script(Fault(), Fault(), Fault(status=status))
        slug = "provider-refused" if status == 401 else "provider-unavailable"
        problem_of(await client.post(URL, json=body), 502 if status == 401 else 503, slug)
        assert len(fake.calls) == 3
        assert (await client.get("/v1/collections/docs")).json()["chunk_count"] == 0
        fake.calls.clear()
        (made,) = await upsert(client, *body["documents"])
        assert (made["status"], made["chunks"], len(texts_of(fake))) == ("created", 100, 80)


async def test_writers_of_one_document_at_once_leave_one_whole_version(
    wide_client: httpx.AsyncClient, database: Database
) -> None:
    """Each keeps passages of a version that another may have replaced meanwhile."""
    await make_collection(wide_client)
    (made,) = await upsert(wide_client, make_document(0))
    writers = [
        upsert(wide_client, make_document(0, {number: f"Edited by {number}."}, chunks=20 + number))
        for number in range(8)
    ]
    results = await asyncio.gather(*writers)
    assert sorted(result[0]["version"] for result in results) == list(range(2, 10))
    last = max(range(8), key=lambda number: results[number][0]["version"])
    contents = await read_ids(wide_client, made["id"])
    assert len(contents) == 20 + last
    assert f"Edited by {last}." in contents
    assert not await list_wrong_counts(database)
