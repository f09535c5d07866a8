"""Scores of the search by words against a plain BM25, and its counts against a recount."""

import asyncio
import random

import httpx
import pytest
from sqlalchemy import text

from ragstore.app import create_app
from ragstore.database import AsyncSession, Database
from ragstore.document.terms import queries
from tests.builders import make_collection, search, upsert
from tests.conftest import ROLES, make_settings, running
from tests.search.stored import (
    Given,
    ask,
    draw_vectors,
    keys_of,
    list_wrong_counts,
    read_tenant_id,
    score_plainly,
    store,
)

WORDS = [
    "cat", "dog", "river", "stone", "copper", "engine", "violin", "market", "winter", "forest", "the", "of", "letter",
]  # fmt: skip
QUERIES = ["copper", "cat dog river", "winter winter forest", "the engine of stone and cloud", "violin, market! letter"]


async def count_by_id(database: Database, table: str) -> int:
    async with database.engine.connect() as connection:
        return int(await connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


async def fold(database: Database) -> int:
    tenant_id = await read_tenant_id(database)
    folded = 0
    async with database.transaction(tenant_id) as session:
        for collection_id in (await (await session.connection()).scalars(text("SELECT id FROM collection"))).all():
            folded += await queries.fold_term_changes(session, tenant_id, collection_id)
    return folded


async def check_scores(client: httpx.AsyncClient, texts: dict[str, str]) -> None:
    for query in QUERIES:
        wanted = score_plainly(query, texts)
        hits = await search(client, query=query, mode="text", top_k=1000)
        found = {hit["document_key"]: hit["score"] for hit in hits}
        assert found == pytest.approx(wanted, rel=1e-5), query
        assert [hit["score"] for hit in hits] == sorted(found.values(), reverse=True)


@pytest.mark.parametrize("seed", [1, 2])
async def test_text_scores_are_plain_bm25_after_any_history(
    client: httpx.AsyncClient, database: Database, seed: int
) -> None:
    """Upserts, replacements and deletes, folded or not; documents of very different lengths."""
    chance = random.Random(seed)
    texts: dict[str, str] = {}
    await make_collection(client)
    for turn in range(4):
        changed = {
            f"d{chance.randrange(40)}": " ".join(chance.choices(WORDS, k=chance.choice([1, 3, 8, 40])))
            for _ in range(15)
        }
        await upsert(client, *[{"key": key, "content": one} for key, one in changed.items()])
        texts |= changed
        for key in chance.sample(sorted(texts), 4):
            (await client.delete("/v1/collections/docs/documents", params={"key": key})).raise_for_status()
            del texts[key]
        if turn % 2:
            await fold(database)  # unless the service has by itself
            assert await count_by_id(database, "term_change") == 0
        await check_scores(client, texts)
    assert await list_wrong_counts(database) == []


async def test_counts_are_right_after_every_kind_of_delete(client: httpx.AsyncClient, database: Database) -> None:
    for name in ("docs", "other"):
        await make_collection(client, name)
        documents = [
            {"key": f"{n}", "content": f"copper river {n} " * (n + 1), "metadata": {"half": n % 2}} for n in range(12)
        ]
        await upsert(client, *documents, collection=name)
    url = "/v1/collections/docs/documents"
    hit = (await search(client, query="river", mode="text"))[0]
    (await client.delete(f"{url}/{hit['document_id']}")).raise_for_status()
    assert await list_wrong_counts(database) == []
    (await client.delete(url, params={"filter": '{"half": 1}'})).raise_for_status()
    assert await list_wrong_counts(database) == []
    (await client.delete("/v1/collections/docs")).raise_for_status()
    assert await list_wrong_counts(database) == []
    assert len(await search(client, "other", query="copper", mode="text", top_k=50)) == 12
    await fold(database)
    assert await count_by_id(database, "term_change") == 0
    (await client.delete("/v1/collections/other")).raise_for_status()
    assert [await count_by_id(database, name) for name in ("passage_terms", "term_count", "term_change")] == [0, 0, 0]


async def test_many_writers_at_once_leave_right_counts(wide_client: httpx.AsyncClient, database: Database) -> None:
    """Of overlapping documents, in any order, with deletes and folding between them: nobody waits for ever."""
    await make_collection(wide_client)
    chance = random.Random(5)

    async def write(writer: int) -> None:
        keys = chance.sample(range(30), 6)
        documents = [{"key": f"{key}", "content": f"river stone {writer} {key} " * (writer + 1)} for key in keys]
        await upsert(wide_client, *documents)
        if writer % 3 == 0:
            url = "/v1/collections/docs/documents"
            (await wide_client.delete(url, params={"key": f"{keys[0]}"})).raise_for_status()
        if writer % 4 == 0:
            await fold(database)

    await asyncio.gather(*[write(writer) for writer in range(16)])
    assert await list_wrong_counts(database) == []
    hits = await search(wide_client, query="river", mode="text", top_k=100)
    assert len(set(keys_of(hits))) == len(hits) > 10


async def test_a_delete_that_waited_for_a_replacement_takes_its_passages_out_of_the_counts(
    client: httpx.AsyncClient, database: Database
) -> None:
    await make_collection(client)
    await upsert(client, {"key": "a", "content": "copper river"}, {"key": "b", "content": "river"})
    deletes: list[asyncio.Task[httpx.Response]] = []

    async def let_a_delete_wait(session: AsyncSession) -> None:
        deletes.append(asyncio.create_task(client.delete("/v1/collections/docs/documents", params={"key": "a"})))
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while not await (await session.connection()).scalar(waiting):  # noqa: ASYNC110  # only Postgres knows
            await asyncio.sleep(0.01)

    await store(database, Given("a", ["winter market"], draw_vectors(1, 1)), before_commit=let_a_delete_wait)
    assert (await deletes[0]).json()["deleted"] == 1
    assert await list_wrong_counts(database) == []
    assert keys_of(await search(client, query="winter river", mode="text")) == ["b"]


async def test_collections_and_tenants_do_not_see_each_others_counts(
    database_url: str, database: Database, stranger_key: str
) -> None:
    app = create_app(make_settings(database_url))
    texts = {"a": "copper river", "b": "river stone market", "c": "winter"}
    noise = {f"n{number}": "copper copper winter engine" for number in range(30)}
    async with running(app) as client:
        await make_collection(client)
        await upsert(client, *[{"key": key, "content": one} for key, one in texts.items()])
        await make_collection(client, "noise")
        await upsert(client, *[{"key": key, "content": one} for key, one in noise.items()], collection="noise")
        client.headers["Authorization"] = f"Bearer {stranger_key}"
        await make_collection(client)
        await upsert(client, *[{"key": key, "content": one} for key, one in noise.items()])
    async with running(create_app(make_settings(database_url))) as client:
        await check_scores(client, texts)
        answer = await ask(client, query="copper", mode="text")
        assert keys_of(answer["hits"]) == ["a"]
        assert await list_wrong_counts(database) == []


async def test_finding_passages_shows_nothing_of_another_tenant(
    client: httpx.AsyncClient, database: Database, database_url: str, stranger_key: str
) -> None:
    """The function reads past row-level security, and so checks the tenant by itself."""
    made = await make_collection(client)
    await upsert(client, {"key": "a", "content": "copper river"})
    async with database.engine.connect() as connection:
        lexeme = await connection.scalar(text("SELECT (tsvector_to_array(terms))[1] FROM passage_terms"))
    acting = Database.connect(database_url, make_settings(database_url), role=ROLES.app)
    owner, stranger = [await read_tenant_id(database, name) for name in ("default", "stranger")]
    found = {}
    for tenant_id in (owner, stranger, None):
        async with acting.transaction(tenant_id) as session:
            rows = await (await session.connection()).execute(
                text(
                    "SELECT * FROM ragstore_find_passages(:id, CAST(:lexeme AS tsquery),"
                    " CAST('{}/1000000000' AS sparsevec), 10)"
                ),
                {"id": made["id"], "lexeme": lexeme},
            )
            found[tenant_id] = len(rows.all())
    await acting.close()
    assert found == {owner: 1, stranger: 0, None: 0}
