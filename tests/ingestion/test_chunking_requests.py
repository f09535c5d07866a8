"""How documents are cut, over HTTP."""

from typing import Any

import httpx
from sqlalchemy import text

from ragstore.app import create_app
from ragstore.database import Database
from ragstore.embedding.registry import EmbedderRegistry
from tests.builders import make_collection, paths_of, problem_of, search, upsert
from tests.conftest import make_settings, running
from tests.fake_openai import FakeOpenAI

DOCUMENTS = "/v1/collections/docs/documents"
GUIDE = "# Guide\n\nIntro words here.\n\n## Install\n\n" + "Run it with great care. " * 8


async def read_metadata(database: Database) -> list[dict[str, Any]]:
    async with database.transaction() as session:
        connection = await session.connection()
        return list(await connection.scalars(text("SELECT metadata FROM chunk ORDER BY document_id, ordinal")))


async def test_the_rule_of_a_request_is_for_its_documents_alone(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    long = {"key": "long", "content": "One two three four five six seven. " * 20}
    body = {"documents": [long], "chunking": {"size": 32, "overlap": 0, "strategy": "sentences"}}
    first = (await client.post(DOCUMENTS, json=body)).json()["results"][0]
    again = (await client.post(DOCUMENTS, json=body)).json()["results"][0]
    assert (first["status"], again["status"]) == ("created", "unchanged")
    assert first["chunks"] > 4
    (by_collection,) = await upsert(client, long)
    assert (by_collection["status"], by_collection["chunks"]) == ("updated", 1)
    assert (await client.get("/v1/collections/docs")).json()["chunking"]["strategy"] == "tokens"


async def test_a_bad_rule_is_refused_by_the_name_of_its_field(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    documents = [{"key": "a", "content": "x"}]
    response = await client.post(DOCUMENTS, json={"documents": documents, "chunking": {"size": 32, "overlap": 32}})
    assert paths_of(problem_of(response, 422, "unprocessable")) == ["chunking.overlap"]
    for field, value in [("strategy", "lines"), ("prefix", "page"), ("size", 8), ("overlap", -1), ("odd", 1)]:
        bodies: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", DOCUMENTS, {"documents": documents}),
            ("POST", "/v1/collections", {"name": "x"}),
            ("PATCH", "/v1/collections/docs", {}),
        ]
        for method, url, body in bodies:
            response = await client.request(method, url, json=body | {"chunking": {field: value}})
            assert paths_of(problem_of(response, 400, "invalid-request")) == [f"chunking.{field}"]
    assert (await client.get("/v1/collections/docs")).json()["document_count"] == 0


async def test_a_document_too_long_to_be_one_passage_fails_alone(client: httpx.AsyncClient) -> None:
    await make_collection(client, chunking={"strategy": "none"})
    long = {"key": "long", "content": "word " * 9000}
    good, bad = await upsert(client, {"key": "good", "content": "word " * 2000}, long)
    assert (good["status"], good["chunks"]) == ("created", 1)
    assert bad["error"]["errors"][0]["path"] == "documents[1].content"
    assert "8192 tokens" in bad["error"]["detail"]
    response = await client.post(DOCUMENTS, json={"documents": [long]})
    assert paths_of(problem_of(response, 422, "invalid-document")) == ["documents[0].content"]
    assert (await client.get("/v1/collections/docs")).json()["document_count"] == 1


async def test_passages_are_stored_with_their_headings(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client, chunking={"size": 32, "overlap": 0, "strategy": "markdown"})
    (result,) = await upsert(client, {"key": "a", "content": GUIDE})
    stored = await read_metadata(database)
    assert len(stored) == result["chunks"] > 1
    assert (stored[0], stored[-1]) == ({"heading": "Guide"}, {"heading": "Guide > Install"})


async def test_plain_text_has_no_headings(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await upsert(client, {"key": "a", "content": GUIDE})
    assert await read_metadata(database) == [{}]


async def test_a_prefix_is_embedded_and_found_by_words_and_is_not_content(database_url: str) -> None:
    fake = FakeOpenAI()
    values = {"openai_api_key": "sk-test", "openai_base_url": "http://provider/v1", "embedding_retries": 0}
    settings = make_settings(database_url, **values)
    app = create_app(settings, embedders=EmbedderRegistry(settings, transport=fake.transport()))
    async with running(app) as client:
        await make_collection(client, chunking={"prefix": "heading"})
        content = "# Install\n\nRun it."
        await upsert(client, {"key": "a", "title": "Zebras", "content": content})
        assert fake.calls[0].body["input"] == [f"Zebras\nInstall\n\n{content}"]
        (hit,) = await search(client, query="zebras", mode="text")
        assert hit["content"] == content
        body = {"documents": [{"key": "a", "title": "Zebras", "content": content}], "chunking": {"prefix": "none"}}
        assert (await client.post(DOCUMENTS, json=body)).json()["results"][0]["status"] == "updated"
        assert fake.calls[-2 if len(fake.calls) > 2 else -1].body["input"] == [content]
