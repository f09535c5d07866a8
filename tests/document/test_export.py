"""`GET …/export`: a collection as lines, page by page, holding nothing meanwhile."""

import base64
import json
from typing import Any

import httpx
import numpy as np
import pytest
from litestar import Litestar
from sqlalchemy import text

from ragstore.columns import new_id
from ragstore.database import Database, TenantDatabase
from ragstore.document.export import service
from ragstore.document.export.service import begin_export, choose_page
from tests.builders import make_collection, problem_of, upsert

URL = "/v1/collections/docs/export"


async def export(client: httpx.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    response = await client.get(URL + query)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


async def fill(client: httpx.AsyncClient, count: int = 25) -> None:
    settings: dict[str, Any] = {"title": "T", "language": "german", "metric": "l2", "metadata": {"a": [1]}}
    await make_collection(client, chunking={"size": 16, "overlap": 2}, **settings)
    documents = [
        {"key": f"k{number}", "content": f"Satz {number}. " * 30, "metadata": {"n": number}} for number in range(count)
    ]
    await upsert(client, *documents)


async def test_everything_is_in_it(client: httpx.AsyncClient, database: Database) -> None:
    await fill(client)
    header, *documents, end = await export(client)
    read = (await client.get("/v1/collections/docs")).json()
    kept = ("name", "title", "embedding_model", "chunking", "language", "metric", "metadata")
    assert header["collection"] == {name: read[name] for name in kept}
    assert (header["ragstore"], header["vectors"], header["documents"]) == (1, True, 25)
    assert end == {"done": True, "documents": 25}
    page = (await client.get("/v1/collections/docs/documents?include=content")).json()["items"]
    fields = ("key", "title", "source", "url", "metadata", "content", "created_at")
    assert [{name: one[name] for name in fields} for one in documents] == [
        {name: one[name] for name in fields} for one in page
    ]
    for one, stored in zip(documents, page, strict=True):
        chunks = (await client.get(f"/v1/collections/docs/documents/{stored['id']}/chunks")).json()["items"]
        given = [(chunk["content"], chunk["start"], chunk["end"]) for chunk in one["chunks"]]
        assert given == [(chunk["content"], chunk["start"], chunk["end"]) for chunk in chunks]
        assert len(chunks) > 1
    async with database.transaction() as session:
        rows = await (await session.connection()).execute(
            text("SELECT e.vector FROM embedding e JOIN chunk c ON c.id = e.chunk_id ORDER BY c.document_id, c.ordinal")
        )
        vectors = [row[0] for row in rows]
    told = [np.frombuffer(base64.b64decode(chunk["vector"]), "<f4") for one in documents for chunk in one["chunks"]]
    for stored_vector, vector in zip(vectors, told, strict=True):
        assert len(vector) <= 256, "zeros that only fill up the column travel too"
        np.testing.assert_array_equal(np.pad(vector, (0, 1536 - len(vector))), stored_vector)


async def test_without_vectors_and_by_filter(client: httpx.AsyncClient) -> None:
    await fill(client)
    header, *documents, end = await export(client, '?vectors=false&filter={"n": {"$gte": 20}}')
    assert (header["vectors"], header["documents"]) == (False, None)
    assert [one["key"] for one in documents] == [f"k{number}" for number in range(20, 25)]
    assert all("vector" not in chunk for one in documents for chunk in one["chunks"])
    assert end == {"done": True, "documents": 5}


async def test_numbers_that_python_cannot_read_are_kept(client: httpx.AsyncClient, database: Database) -> None:
    await fill(client, 1)
    async with database.transaction() as session:
        await (await session.connection()).execute(
            text("UPDATE document SET metadata = jsonb_build_object('n', 10::numeric ^ 5000, 'f', 0.1::numeric)")
        )
    (line,) = [line for line in (await client.get(URL)).text.splitlines() if '"k0"' in line]
    assert '"n": 1' + "0" * 5000 in line


async def test_an_empty_collection_is_a_header_and_an_end(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    assert [next(iter(one)) for one in await export(client)] == ["ragstore", "done"]


async def test_what_is_wrong_is_a_problem(client: httpx.AsyncClient) -> None:
    problem_of(await client.get(URL), 404, "not-found")
    await make_collection(client)
    problem_of(await client.get(URL + "?filter=["), 422, "invalid-filter")
    problem_of(await client.get(URL + "?vectors=maybe"), 400, "invalid-request")
    problem_of(await client.get(URL + "?vector=true"), 400, "invalid-request")


async def tenant_of(app: Litestar, database: Database) -> TenantDatabase:
    async with database.transaction() as session:
        tenant = (await (await session.connection()).scalars(text("SELECT id FROM tenant"))).one()
    return TenantDatabase(app.state.ragstore.database, tenant)


async def begin(app: Litestar, mine: TenantDatabase, *, vectors: bool) -> service.Export:
    state = app.state.ragstore
    return await begin_export(mine, state.stopping, "docs", None, vectors=vectors, embedders=state.embedders)


def test_vectors_of_a_document_are_written_in_one_width() -> None:
    """Vectors that end in zeros were written shorter, and an import refused the document."""
    vectors = [np.zeros(1536, np.float32), np.zeros(1536, np.float32)]
    vectors[0][0], vectors[1][1] = 1, 1
    assert service.VectorForm().choose_width(vectors) == 2
    assert service.VectorForm(256).choose_width(vectors) == 256
    vectors[0][256] = 1
    assert service.VectorForm(256).choose_width(vectors) == 1536
    assert service.VectorForm(256).fits(256, 1000, 10_000)
    assert not service.VectorForm(256).fits(1536, 10_000, 10_000)


async def test_while_a_page_is_read_nothing_is_held(
    app: Litestar, client: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool has one connection. What is stored meanwhile is left out, what is deleted too."""
    monkeypatch.setattr(service, "MOST_DOCUMENTS", 4)
    await fill(client, 10)
    mine = await tenant_of(app, database)
    lines = (await begin(app, mine, vectors=False)).lines()
    pages = [await anext(lines), await anext(lines)]
    assert len(pages[1].splitlines()) == 4
    await upsert(client, {"key": "late", "content": "too late"})
    await client.delete("/v1/collections/docs/documents?key=k6")
    pages += [page async for page in lines]
    told = [json.loads(line) for page in pages for line in page.splitlines()]
    assert [one["key"] for one in told[1:-1]] == [f"k{number}" for number in range(10) if number != 6]
    assert told[-1] == {"done": True, "documents": 9}


@pytest.mark.parametrize("made_again", [False, True])
async def test_a_collection_that_goes_is_not_one_that_ended(
    app: Litestar, client: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch, made_again: bool
) -> None:
    monkeypatch.setattr(service, "MOST_DOCUMENTS", 4)
    await fill(client, 10)
    mine = await tenant_of(app, database)
    lines = (await begin(app, mine, vectors=True)).lines()
    await anext(lines)
    await anext(lines)
    await client.delete("/v1/collections/docs")
    if made_again:
        await make_collection(client)
    end = json.loads([page async for page in lines][-1])
    assert (end["done"], end["documents"], end["error"]["type"]) == (False, 4, "urn:ragstore:error:not-found")


def test_a_page_holds_what_fits_and_at_least_one() -> None:
    a, b, c = new_id(), new_id(), new_id()
    assert choose_page([]) == []
    assert choose_page([(a, 10**9, 1), (b, 1, 1)]) == [a]
    assert choose_page([(a, 1, 499), (b, 1, 1), (c, 1, 1)]) == [a, b]
    assert choose_page([(a, 1, 1), (b, 10**9, 1), (c, 1, 1)]) == [a]
