import base64
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from ragstore.database import Database
from ragstore.embedding.local import LocalEmbedder
from tests.builders import make_collection, paths_of, problem_of, search, upsert

DOCUMENTS: list[dict[str, Any]] = [
    {"key": "cats", "content": "Cats sleep most of the day.", "title": "Cats", "metadata": {"year": 2020}},
    {"key": "dogs", "content": "Dogs chase balls in the park.", "source": "zoo", "metadata": {"year": 2021}},
    {"key": "stars", "content": "Stars are made of hydrogen and helium.", "url": "https://example.org/stars"},
]


async def test_the_nearest_passage_comes_first_with_all_that_a_citation_needs(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, *DOCUMENTS)
    hits = await search(client, query="cats that sleep", top_k=2, mode="vector")
    assert len(hits) == 2
    assert hits[0]["document_key"] == "cats"
    assert 1 >= hits[0]["score"] > hits[1]["score"] >= -1
    assert set(hits[0]) == {
        "document_id", "document_key", "chunk_id", "score", "content", "title", "source", "url", "metadata",
        "ordinal", "start", "end", "collection",
    }  # fmt: skip
    assert (hits[0]["start"], hits[0]["end"], hits[0]["ordinal"]) == (0, 27, 0)


async def test_a_vector_finds_what_its_text_finds_in_every_form(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, *DOCUMENTS)
    wanted = await search(client, query="hydrogen", mode="vector")
    vector = LocalEmbedder().embed(["hydrogen"])[0]
    for form in (
        vector.tolist(),
        vector[:256].tolist(),
        (vector * 7).tolist(),
        base64.b64encode(vector.astype("<f4").tobytes()).decode(),
    ):
        hits = await search(client, vector=form)
        assert [hit["chunk_id"] for hit in hits] == [hit["chunk_id"] for hit in wanted]
        assert hits[0]["score"] == pytest.approx(wanted[0]["score"], abs=1e-6)


async def test_a_filter_keeps_only_what_matches(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, *DOCUMENTS)
    assert [hit["document_key"] for hit in await search(client, query="cats", filter={"year": {"$gt": 2020}})] == [
        "dogs"
    ]
    assert await search(client, query="cats", filter={"year": 1999}) == []


async def test_a_filter_never_hides_a_hit_however_far_it_lies(client: httpx.AsyncClient) -> None:
    """The nearest 500 passages do not match; the ten that do are found all the same."""
    await make_collection(client)
    near = [
        {"key": f"near {n}", "content": f"cats and kittens sleep {n}", "metadata": {"far": False}} for n in range(500)
    ]
    far = [{"key": f"far {n}", "content": f"granite quarry number {n}", "metadata": {"far": True}} for n in range(10)]
    await upsert(client, *near, *far)
    hits = await search(client, query="sleeping cats and kittens", filter={"far": True}, top_k=10)
    assert {hit["document_key"] for hit in hits} == {one["key"] for one in far}


async def test_two_stages_agree_with_the_exact_order(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    words = ["river", "stone", "cloud", "engine", "violin", "market", "forest", "letter", "copper", "winter"]
    texts = [f"The {a} near the {b} was seen by {c}." for a in words for b in words for c in words[:5]]
    await upsert(client, *[{"key": one, "content": one} for one in texts])
    embedder = LocalEmbedder()
    vectors = embedder.embed(texts)
    for question in ("a copper engine", "letters in the winter forest", "music"):
        exact = vectors @ embedder.embed([question])[0]
        hits = await search(client, query=question, top_k=10, mode="vector")
        scores = np.array([hit["score"] for hit in hits])
        np.testing.assert_allclose(scores, np.sort(exact)[::-1][:10], atol=1e-5)


async def test_the_codes_are_scanned_index_only_after_vacuum(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await upsert(client, *[{"key": f"{n}", "content": f"passage number {n}"} for n in range(600)])
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM (ANALYZE) embedding"))
        one = (await connection.execute(text("SELECT tenant_id, collection_id, model_id, code FROM embedding"))).first()
        assert one is not None
        plan = "\n".join(
            await connection.scalars(
                text(
                    "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT e.chunk_id FROM embedding e"
                    f" WHERE e.tenant_id = '{one.tenant_id}' AND e.collection_id = '{one.collection_id}'"
                    f" AND e.model_id = {one.model_id}"
                    " ORDER BY (e.code <~> (SELECT code FROM embedding LIMIT 1)) + 0, e.chunk_id LIMIT 200"
                )
            )
        )
    assert "Index Only Scan using ix_embedding_code" in plan
    assert "Heap Fetches: 0" in plan


async def test_results_are_the_same_every_time(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, *[{"key": f"{n}", "content": "the same words"} for n in range(300)])
    for mode in ("hybrid", "text", "vector"):
        first = await search(client, query="same words", top_k=20, mode=mode)
        assert [hit["chunk_id"] for hit in first] == sorted(hit["chunk_id"] for hit in first)
        assert await search(client, query="same words", top_k=20, mode=mode) == first


@pytest.mark.parametrize(
    ("request_", "status", "slug", "path"),
    [
        ({}, 400, "invalid-request", "query"),
        ({"query": "x", "vector": [1.0], "mode": "vector"}, 400, "invalid-request", "query"),
        ({"query": "  "}, 400, "invalid-request", "query"),
        ({"query": "a\x00"}, 400, "invalid-request", "query"),
        ({"query": "x", "top_k": 0}, 400, "invalid-request", "top_k"),
        ({"query": "x", "top_k": 10**30}, 400, "invalid-request", "top_k"),
        ({"query": "x", "mode": "magic"}, 400, "invalid-request", "mode"),
        ({"query": "x", "k": 3}, 400, "invalid-request", "k"),
        ({"vector": [1.0, 2.0]}, 422, "invalid-vector", "vector"),
        ({"vector": []}, 422, "invalid-vector", "vector"),
        ({"vector": [0.0] * 1536}, 422, "invalid-vector", "vector"),
        ({"vector": [3.5e38] * 1536}, 422, "invalid-vector", "vector"),
        ({"vector": "not base64!"}, 422, "invalid-vector", "vector"),
        ({"vector": "AAA="}, 422, "invalid-vector", "vector"),
        (
            {"vector": base64.b64encode(np.full(1536, np.nan, "<f4").tobytes()).decode()},
            422,
            "invalid-vector",
            "vector",
        ),
        ({"query": "x", "filter": {"a": {"$near": 1}}}, 422, "invalid-filter", "filter.a.$near"),
    ],
)
async def test_a_bad_search_says_which_field(
    client: httpx.AsyncClient, request_: dict[str, object], status: int, slug: str, path: str
) -> None:
    await make_collection(client)
    response = await client.post("/v1/collections/docs/search", json=request_)
    assert paths_of(problem_of(response, status, slug)) == [path]


async def test_a_collection_that_was_made_anew_under_its_old_name_is_searched(client: httpx.AsyncClient) -> None:
    """What is remembered of a collection never answers for another one."""
    await make_collection(client)
    await upsert(client, *DOCUMENTS)
    assert len(await search(client, query="cats")) == 3
    await client.delete("/v1/collections/docs")
    problem_of(await client.post("/v1/collections/docs/search", json={"query": "cats"}), 404, "not-found")
    await make_collection(client)
    assert await search(client, query="cats") == []
    await upsert(client, DOCUMENTS[1])
    assert [hit["document_key"] for hit in await search(client, query="cats")] == ["dogs"]
    await client.patch("/v1/collections/docs", json={"name": "other"})
    problem_of(await client.post("/v1/collections/docs/search", json={"query": "cats"}), 404, "not-found")
