import asyncio
from typing import Any

import httpx
from litestar import Litestar
from sqlalchemy import text

from ragstore.app import create_app
from ragstore.database import Database
from ragstore.embedding.registry import EmbedderRegistry
from tests.builders import make_collection, paths_of, problem_of, search, upsert
from tests.conftest import make_settings, running
from tests.fake_openai import FakeOpenAI, Fault

DEADLOCK_AT_FIRST = """
    CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF nextval('public.tries') = 1 THEN  -- which a rollback does not take back
            RAISE 'told to' USING ERRCODE = '40P01';
        END IF;
        RETURN NEW;
    END $$
"""
CATS: dict[str, Any] = {
    "key": "cats",
    "content": "Cats sleep most of the day.",
    "title": "Cats",
    "metadata": {"year": 2020, "a": 1},
}


async def test_the_same_document_again_is_unchanged(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    (first,) = await upsert(client, CATS)
    (again,) = await upsert(client, CATS | {"metadata": {"a": 1, "year": 2020}})
    assert (first["status"], again["status"]) == ("created", "unchanged")
    assert (again["id"], again["version"], again["chunks"]) == (first["id"], 1, 1)


async def test_a_changed_field_is_updated_and_keeps_the_id(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    (first,) = await upsert(client, CATS)
    changes: list[dict[str, Any]] = [
        {"content": "Cats eat."},
        {"title": "Felines"},
        {"source": "x"},
        {"url": "u"},
        {"metadata": {}},
    ]
    for version, change in enumerate(changes, start=2):
        (result,) = await upsert(client, CATS | change)
        assert (result["status"], result["version"], result["id"]) == ("updated", version, first["id"])
    counts = (await client.get("/v1/collections/docs")).json()
    assert (counts["document_count"], counts["chunk_count"]) == (1, 1)


async def test_a_new_chunking_rule_cuts_again_what_is_posted_again(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    long = {"key": "long", "content": "One two three four five six seven. " * 20}
    (first,) = await upsert(client, long)
    await client.patch("/v1/collections/docs", json={"chunking": {"size": 32, "overlap": 0}})
    (again,) = await upsert(client, long)
    assert again["status"] == "updated"
    assert again["chunks"] > first["chunks"] == 1
    assert (await client.get("/v1/collections/docs")).json()["chunk_count"] == again["chunks"]


async def test_a_bad_document_among_good_ones_fails_alone(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    results = await upsert(
        client,
        CATS,
        {"key": "blank", "content": " \n"},
        {"key": "nul", "content": "a\x00b"},
        {"key": "number", "content": 5},
        {"key": "odd", "content": "x", "tenant_id": "y"},
        {"content": "no key at all"},
        CATS,
        {"key": "k" * 1025, "content": "x"},
        "not even an object",
    )
    assert [one["status"] for one in results] == [
        "created", "failed", "failed", "failed", "failed", "created", "failed", "failed", "failed",
    ]  # fmt: skip
    faults = [one["error"]["errors"][0]["path"] for one in results if one["error"]]
    assert faults == [
        "documents[1].content", "documents[2].content", "documents[3].content", "documents[4].tenant_id",
        "documents[6].key", "documents[7].key", "documents[8]",
    ]  # fmt: skip
    assert results[5]["key"] == results[5]["id"]
    assert (await client.get("/v1/collections/docs")).json()["document_count"] == 2


async def test_a_body_without_any_good_document_is_refused(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    response = await client.post("/v1/collections/docs/documents", json={"documents": [{"key": "a", "content": ""}]})
    assert paths_of(problem_of(response, 422, "invalid-document")) == ["documents[0].content"]
    bodies: list[dict[str, Any]] = [{}, {"documents": []}, {"documents": 5}]
    for body in bodies:
        problem_of(await client.post("/v1/collections/docs/documents", json=body), 400, "invalid-request")


async def test_an_unknown_collection_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/collections/none/documents", json={"documents": [CATS]})
    problem_of(response, 404, "not-found")


async def test_writers_of_the_same_keys_do_not_deadlock_and_leave_one_version(wide_client: httpx.AsyncClient) -> None:
    await make_collection(wide_client)

    async def post(writer: int) -> list[dict[str, object]]:
        keys = ["a", "b", "c"] if writer % 2 else ["c", "b", "a"]
        return await upsert(wide_client, *[{"key": key, "content": f"text of writer {writer}"} for key in keys])

    results = await asyncio.gather(*(post(writer) for writer in range(12)))
    versions = [one["version"] for result in results for one in result if one["key"] == "b"]
    assert sorted(str(one) for one in versions) == sorted(str(one) for one in range(1, 13))
    page = (await wide_client.get("/v1/collections/docs/documents", params={"include": "content"})).json()
    assert len(page["items"]) == 3
    counts = (await wide_client.get("/v1/collections/docs")).json()
    assert (counts["document_count"], counts["chunk_count"]) == (3, 3)
    hits = await search(wide_client, query="writer", top_k=10)
    assert {hit["document_key"]: hit["content"] for hit in hits} == {
        one["key"]: one["content"] for one in page["items"]
    }


def provided_app(database_url: str, fake: FakeOpenAI) -> Litestar:
    values = {"openai_api_key": "sk-test", "openai_base_url": "http://provider/v1", "embedding_retries": 0}
    settings = make_settings(database_url, **values)
    return create_app(settings, embedders=EmbedderRegistry(settings, transport=fake.transport()))


async def test_a_provider_that_fails_leaves_the_old_version_served(database_url: str) -> None:
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        made = await make_collection(client)
        assert made["embedding_model"] == "text-embedding-3-small"
        await upsert(client, CATS)
        fake.script(Fault(status=500))
        changed = {"documents": [CATS | {"content": "Cats eat."}]}
        problem_of(await client.post("/v1/collections/docs/documents", json=changed), 503, "provider-unavailable")
        (hit,) = await search(client, query="cats")
        assert hit["content"] == CATS["content"]


async def test_metadata_alone_costs_no_call_to_the_provider(database_url: str) -> None:
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        await upsert(client, CATS)
        calls = len(fake.calls)
        await upsert(client, CATS)
        await upsert(client, CATS | {"metadata": {}})
        assert len(fake.calls) == calls == 1
        assert fake.calls[0].body["input"] == ["Cats\n\nCats sleep most of the day."]


async def test_no_connection_is_held_while_the_provider_works(database_url: str, database: Database) -> None:
    fake = FakeOpenAI()
    async with running(provided_app(database_url, fake)) as client:
        await make_collection(client)
        fake.script(Fault(delay=0.5))
        posting = asyncio.create_task(upsert(client, CATS))
        await asyncio.sleep(0.2)
        async with database.transaction() as session:
            connection = await session.connection()
            busy = await connection.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND state <> 'idle'"
                )
            )
        assert busy == 0
        assert (await client.get("/v1/collections")).status_code == 200  # the only connection of the pool is free
        await posting


async def test_writers_that_change_content_here_and_metadata_there_do_not_deadlock(
    wide_client: httpx.AsyncClient,
) -> None:
    await make_collection(wide_client)
    await upsert(wide_client, {"key": "a", "content": "text a"}, {"key": "b", "content": "text b"})
    for round_ in range(8):
        one = upsert(
            wide_client,
            {"key": "b", "content": "text b", "metadata": {"round": round_}},
            {"key": "a", "content": f"text a {round_}"},
        )
        other = upsert(
            wide_client,
            {"key": "a", "content": "text a", "metadata": {"round": round_}},
            {"key": "b", "content": f"text b {round_}"},
        )
        await asyncio.gather(one, other)
        await upsert(wide_client, {"key": "a", "content": "text a"}, {"key": "b", "content": "text b"})
    counts = (await wide_client.get("/v1/collections/docs")).json()
    assert (counts["document_count"], counts["chunk_count"]) == (2, 2)


async def test_characters_that_only_python_takes_for_white_space_make_no_empty_passage(database_url: str) -> None:
    async with running(provided_app(database_url, FakeOpenAI())) as client:
        await make_collection(client, chunking={"size": 16, "overlap": 0})
        (result,) = await upsert(client, {"key": "a", "content": "hello " + "\x1c" * 400 + " world"})
        assert result["status"] == "created"


async def test_a_document_of_nothing_but_faults_is_answered_shortly(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    document = {"key": "a", "content": "x", "metadata": {"list": ["\x00" * 10] * 100_000}}
    response = await client.post("/v1/collections/docs/documents", json={"documents": [document]})
    problem_of(response, 422, "invalid-document")
    assert len(response.content) < 10_000


async def test_a_writer_that_postgres_ends_for_a_deadlock_comes_again(
    client: httpx.AsyncClient, database: Database
) -> None:
    await make_collection(client)
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("CREATE SEQUENCE tries"))
        await connection.execute(text("GRANT USAGE ON SEQUENCE tries TO PUBLIC"))
        await connection.execute(text(DEADLOCK_AT_FIRST))
        await connection.execute(
            text("CREATE TRIGGER deadlock_at_first BEFORE INSERT ON document FOR EACH ROW EXECUTE FUNCTION deadlock()")
        )
    (result,) = await upsert(client, {"key": "a", "content": "granite"})
    assert (result["status"], result["version"]) == ("created", 1)
