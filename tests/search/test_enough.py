"""As many passages as are asked for, whenever there are as many; and the best ones."""

import base64
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from ragstore.app import create_app
from ragstore.database import Database
from ragstore.embedding.local import LocalEmbedder
from tests.builders import make_collection, search
from tests.conftest import make_settings, running
from tests.search.stored import Given, ask, draw_vectors, keys_of, make_singles, store

NEEDLE = draw_vectors(0, 1)


async def test_every_filter_finds_as_many_as_match(client: httpx.AsyncClient, database: Database) -> None:
    """The nearest passages never match, but where half do."""
    await make_collection(client)
    vectors = draw_vectors(1, 2000)
    order = np.argsort(-(vectors @ NEEDLE[0]))
    rank = np.empty(2000, dtype=int)
    rank[order] = np.arange(2000)
    documents = [
        Given(
            f"{n:04}",
            ["granite"],
            vectors[n : n + 1],
            {
                "half": bool(rank[n] % 2),
                "tenth": bool(rank[n] >= 1800),
                "hundredth": bool(rank[n] >= 1980),
                "rank": int(rank[n]),
            },
        )
        for n in range(2000)
    ]
    await store(database, *documents)
    for filter_, lowest in (
        ({"half": True}, 1),
        ({"tenth": True}, 1800),
        ({"hundredth": True}, 1980),
        ({"rank": 1999}, 1999),
    ):
        matching = [n for n in order if (rank[n] >= lowest) and (lowest != 1 or rank[n] % 2)]
        for request in (
            {"vector": NEEDLE[0].tolist()},
            {"query": "granite", "vector": NEEDLE[0].tolist()},
            {"query": "granite"},
        ):
            for exact in (False, True):
                both: dict[str, Any] = {"fusion": {"vector_weight": 1}} if {"query", "vector"} <= request.keys() else {}
                hits = await search(client, filter=filter_, exact=exact, **both, **request)
                assert len(hits) == min(10, len(matching))
                if "vector" in request:
                    assert keys_of(hits) == [f"{n:04}" for n in matching[:10]]
    assert len(await search(client, query="granite", mode="text", top_k=1000, filter={"half": True})) == 1000


async def test_exact_is_brute_force(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    vectors = draw_vectors(3, 1500)
    await store(database, *make_singles(vectors))
    for question in draw_vectors(4, 10):
        order = np.argsort(-(vectors @ question))[:25]
        answer = await ask(client, vector=question.tolist(), exact=True, top_k=25, explain=True)
        assert keys_of(answer["hits"]) == [f"{n:05}" for n in order]
        np.testing.assert_allclose([hit["score"] for hit in answer["hits"]], (vectors @ question)[order], atol=1e-5)
        assert answer["explain"]["plans"][0]["vector_plan"] == "exact_vectors"


@pytest.mark.parametrize("metric", ["inner_product", "l2"])
async def test_the_other_metrics_find_what_brute_force_finds(
    client: httpx.AsyncClient, database: Database, metric: str
) -> None:
    """Lengths from 0.05 to 20: codes know nothing of them."""
    await make_collection(client, metric=metric)
    chance = np.random.default_rng(9)
    vectors = (draw_vectors(5, 3000, 256) * np.exp(chance.uniform(-3, 3, (3000, 1)))).astype(np.float32)
    await store(database, *make_singles(vectors))
    questions = (draw_vectors(6, 50, 256) * np.exp(chance.uniform(-2, 2, (50, 1)))).astype(np.float32)
    found = 0
    for question in questions:
        products = vectors.astype(np.float64) @ question
        distances = np.linalg.norm(vectors.astype(np.float64) - question, axis=1)
        scores = products if metric == "inner_product" else 1 / (1 + distances)
        best = np.argsort(-scores)[:10]
        hits = await search(client, vector=base64.b64encode(question.tobytes()).decode())
        found += len({f"{n:05}" for n in best} & set(keys_of(hits)))
        wanted = [scores[int(hit["document_key"])] for hit in hits]
        np.testing.assert_allclose([hit["score"] for hit in hits], wanted, rtol=1e-4, atol=1e-5)
    assert found / 500 >= (1.0 if metric == "inner_product" else 0.99)  # cosine has 0.988 of these unrelated vectors


async def test_what_was_deleted_just_now_leaves_no_gap(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await store(database, *make_singles(draw_vectors(1, 40, around=NEEDLE[0]), near=True))
    await store(database, *make_singles(draw_vectors(2, 300), prefix="far"))
    before = await search(client, vector=NEEDLE[0].tolist(), top_k=40)
    assert not any(key.startswith("far") for key in keys_of(before))
    (await client.delete("/v1/collections/docs/documents", params={"filter": '{"near": true}'})).raise_for_status()
    for request in ({"vector": NEEDLE[0].tolist()}, {"query": "granite"}, {"query": "granite", "mode": "text"}):
        hits = await search(client, top_k=40, **request)
        assert len(hits) == 40
        assert all(key.startswith("far") for key in keys_of(hits))


async def test_another_tenants_nearer_vectors_take_no_place(
    client: httpx.AsyncClient, database: Database, database_url: str, stranger_key: str
) -> None:
    await make_collection(client)
    await store(database, *make_singles(draw_vectors(2, 60), prefix="mine"))
    async with running(create_app(make_settings(database_url)), stranger_key) as stranger:
        await make_collection(stranger)
        await store(database, *make_singles(draw_vectors(1, 1500, around=NEEDLE[0])), tenant="stranger")
        assert len(await search(stranger, vector=NEEDLE[0].tolist(), top_k=1000)) == 1000
    for request in ({"vector": NEEDLE[0].tolist()}, {"query": "granite"}, {"query": "granite", "mode": "text"}):
        hits = await search(client, top_k=50, **request)
        assert len(hits) == 50
        assert all(key.startswith("mine") for key in keys_of(hits))


@pytest.mark.parametrize("query", ["granite -basalt", "-basalt", 'quarry -"basalt rock"'])
async def test_exclusions_that_hit_the_nearest_leave_no_gap(
    client: httpx.AsyncClient, database: Database, query: str
) -> None:
    await make_collection(client)
    near = draw_vectors(1, 300, around=NEEDLE[0])
    await store(database, *make_singles(near, "granite quarry with basalt rock"))
    await store(database, *make_singles(draw_vectors(2, 100), "a marble quarry", prefix="far"))
    for filter_ in (None, {"$not": {"nothing": 1}}):
        hits = await search(client, query=query, vector=NEEDLE[0].tolist(), top_k=20, filter=filter_)
        assert len(hits) == 20
        assert all(key.startswith("far") for key in keys_of(hits))


async def test_groups_are_found_behind_a_document_that_owns_the_best(
    client: httpx.AsyncClient, database: Database
) -> None:
    await make_collection(client)
    best = Given("best", ["granite granite granite"] * 500, draw_vectors(1, 500, around=NEEDLE[0]))
    await store(database, best, *make_singles(draw_vectors(2, 30), "some granite in a long text about much else"))
    for mode in ("vector", "text", "hybrid"):
        request = {"query": "granite"} if mode == "text" else {"vector": NEEDLE[0].tolist()}
        request |= {"query": "granite"} if mode == "hybrid" else {}
        hits = await search(client, mode=mode, group_by="document", per_group=2, top_k=10, **request)
        assert len(set(keys_of(hits))) == 10, mode
        assert len(hits) == 11
        assert keys_of(hits)[:2] == ["best", "best"]
        for extra in ({"diversity": 0.5}, {"filter": {"$not": {"nothing": 1}}}, {"exact": True}):
            hits = await search(client, mode=mode, group_by="document", top_k=10, **request, **extra)
            assert len(set(keys_of(hits))) == len(hits) == 10, (mode, extra)


async def test_groups_are_found_by_common_words_behind_one_document_with_the_rare_one(
    database_url: str, database: Database
) -> None:
    """Words are looked up rarest first; when those do not give enough documents, the others are looked up too."""
    app = create_app(make_settings(database_url, search_text_candidates=100))
    async with running(app) as client:
        await make_collection(client)
        owner = Given("owner", ["zebra"] * 90, draw_vectors(1, 90))
        await store(database, owner, *make_singles(draw_vectors(2, 300), "horse"))
        hits = await search(client, query="zebra horse", mode="text", group_by="document", top_k=10)
        assert len(hits) == 10
        assert hits[0]["document_key"] == "owner"
        hits = await search(client, query="zebra horse", mode="text", top_k=200)
        assert len(hits) == 200


async def test_a_thousand_are_answered_by_every_way(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await store(database, *make_singles(draw_vectors(2, 1100)))
    vector = LocalEmbedder().embed(["granite"])[0].tolist()
    fused = {"query": "granite", "fusion": {"method": "rrf"}}
    for request in ({"vector": vector}, {"query": "granite"}, {"query": "granite", "mode": "text"}, fused):
        for extra in ({}, {"group_by": "document"}, {"diversity": 0.2}):
            hits = await search(client, top_k=1000, **request, **extra)
            assert len({hit["chunk_id"] for hit in hits}) == len(hits) == 1000, (request.keys(), extra)


async def test_passages_without_terms_are_found_by_their_vectors(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await store(database, *make_singles(draw_vectors(2, 20), "?!"))
    async with database.engine.connect() as connection:
        assert await connection.scalar(text("SELECT max(length) FROM passage_terms")) == 0
    assert len(await search(client, query="granite", top_k=20)) == 20
    assert len(await search(client, query="-granite", top_k=20)) == 20
    assert await search(client, query="granite", mode="text") == []
