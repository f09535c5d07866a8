"""Deleted is gone: from every table, and with what stood behind it."""

import uuid

import httpx
import pytest
from sqlalchemy import text

from ragstore.database import Database
from tests.builders import make_collection, search, upsert

DOCUMENTS = "/v1/collections/docs/documents"
TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
CONTENT = "Zebras cross the river at dawn. " * 40


async def find_traces(database: Database, *values: str) -> set[str]:
    """Tables in which any row holds one of the values, in any column."""
    found = set()
    async with database.engine.connect() as connection:
        for table in (await connection.scalars(TABLES)).all():
            for value in values:
                query = text(f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE :value')  # its own name
                if await connection.scalar(query, {"value": f"%{value}%"}):
                    found.add(table)
    return found


async def attach_file(database: Database, document_id: str, *, keep: bool) -> str:
    file_id = uuid.uuid4()
    async with database.engine.begin() as connection:
        statement = text("""
            WITH f AS (
                INSERT INTO file (tenant_id, id, name, media_type, size, digest, content, keep)
                SELECT tenant_id, :file, 'a.txt', 'text/plain', 1, '\\x00', '\\x00', :keep FROM document WHERE id = :id
            )
            UPDATE document SET file_id = :file WHERE id = :id
        """)
        await connection.execute(statement, {"file": file_id, "id": uuid.UUID(document_id), "keep": keep})
    return str(file_id)


@pytest.mark.parametrize("how", ["id", "key", "filter", "collection"])
async def test_nothing_of_a_deleted_document_is_left(client: httpx.AsyncClient, database: Database, how: str) -> None:
    await make_collection(client, chunking={"size": 64, "overlap": 8})
    gone, kept = await upsert(
        client, {"key": "gone-key", "content": CONTENT, "metadata": {"a": 1}}, {"key": "kept", "content": "Other."}
    )
    file_id = await attach_file(database, gone["id"], keep=False)
    chunks = (await client.get(f"{DOCUMENTS}/{gone['id']}/chunks", params={"limit": 200})).json()["items"]
    traces = [gone["id"], "gone-key", "Zebras cross", *(one["id"] for one in chunks)]
    assert await find_traces(database, *traces) == {"document", "chunk", "embedding", "metadata_entry", "passage_terms"}

    match how:
        case "id":
            answer = await client.delete(f"{DOCUMENTS}/{gone['id']}")
            assert (answer.status_code, answer.content) == (204, b"")
        case "key":
            answer = await client.delete(DOCUMENTS, params={"key": "gone-key"})
        case "filter":
            answer = await client.delete(DOCUMENTS, params={"filter": '{"a": 1}'})
        case _:
            answer = await client.delete("/v1/collections/docs")
            assert answer.json() == {"documents": 2, "chunks": len(chunks) + 1, "files": 1}
    if how in ("key", "filter"):
        assert answer.json() == {"deleted": 1, "chunks": len(chunks), "files": 1}
    assert await find_traces(database, *traces, file_id) == set()
    if how != "collection":
        for mode in ("text", "vector", "hybrid"):
            hits = await search(client, query="zebras river dawn", mode=mode)
            assert {one["document_id"] for one in hits} <= {kept["id"]}


async def test_a_file_that_others_need_or_that_is_kept_stays(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    first, second, third = await upsert(client, *[{"key": key, "content": key} for key in ("a", "b", "c")])
    shared = await attach_file(database, first["id"], keep=False)
    async with database.engine.begin() as connection:
        given = {"file": uuid.UUID(shared), "id": uuid.UUID(second["id"])}
        await connection.execute(text("UPDATE document SET file_id = :file WHERE id = :id"), given)
    await attach_file(database, third["id"], keep=True)
    assert (await client.delete(DOCUMENTS, params={"key": "a"})).json()["files"] == 0
    assert (await client.delete(DOCUMENTS, params={"key": "c"})).json()["files"] == 0
    assert (await client.delete(DOCUMENTS, params={"key": "b"})).json()["files"] == 1
    assert (await client.delete(DOCUMENTS, params={"key": "b"})).json() == {"deleted": 0, "chunks": 0, "files": 0}
