"""Fusion of words and vectors, batches, and several collections in one list."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest

from ragstore.app import create_app
from ragstore.embedding.local import LocalEmbedder
from ragstore.embedding.registry import EmbedderRegistry
from tests.builders import make_collection, paths_of, problem_of, search, upsert
from tests.conftest import make_settings, running
from tests.fake_openai import FakeOpenAI
from tests.search.stored import ask, keys_of

TEXTS = [
    f"{a} and {b} by the {c}" for a in ("cats", "dogs", "stars") for b in ("rivers", "stones") for c in ("sea", "road")
]
ACROSS = "/v1/search"


@pytest.fixture
def fake() -> FakeOpenAI:
    return FakeOpenAI()


@pytest.fixture
async def filled(database_url: str, fake: FakeOpenAI) -> AsyncIterator[httpx.AsyncClient]:
    """`one` and `two` of the local model hold the same six and other six texts, `three` all, of a provider's model."""
    values = {"openai_api_key": "sk-test", "openai_base_url": "http://provider/v1", "embedding_retries": 0}
    settings = make_settings(database_url, **values)
    app = create_app(settings, embedders=EmbedderRegistry(settings, transport=fake.transport()))
    async with running(app) as client:
        for name, texts, model in (("one", TEXTS[:6], "local"), ("two", TEXTS[6:], "local"), ("all", TEXTS, "local")):
            await make_collection(client, name, embedding_model=model)
            await upsert(client, *[{"key": text, "content": text} for text in texts], collection=name)
        await make_collection(client, "three")
        await upsert(client, *[{"key": text, "content": text} for text in TEXTS], collection="three")
        yield client


async def test_the_weight_goes_from_words_alone_to_vectors_alone(filled: httpx.AsyncClient) -> None:
    query = "cats by the sea"
    words = await search(filled, "all", query=query, mode="text", top_k=12)
    vectors = await search(filled, "all", query=query, mode="vector", top_k=12)
    text_of = {hit["chunk_id"]: hit["score"] for hit in words}
    cosine = {hit["chunk_id"]: hit["score"] for hit in vectors}
    low, high, best = min(cosine.values()), max(cosine.values()), max(text_of.values())
    for weight in (0, 0.3, 1):
        answer = await ask(
            filled, "/v1/collections/all/search", query=query, top_k=12, fusion={"vector_weight": weight}, explain=True
        )
        assert answer["explain"]["vector_weight"] == weight
        for hit in answer["hits"]:
            one = hit["chunk_id"]
            wanted = (1 - weight) * text_of.get(one, 0) / best + weight * (cosine[one] - low) / (high - low)
            assert hit["score"] == pytest.approx(wanted, abs=1e-5)
    chosen = (await ask(filled, "/v1/collections/all/search", query=query, explain=True))["explain"]["vector_weight"]
    assert 0 < chosen < 1


async def test_reciprocal_ranks_are_summed(filled: httpx.AsyncClient) -> None:
    query = "stones by the road"
    ranks = []
    for mode in ("vector", "text"):
        hits = await search(filled, "all", query=query, mode=mode, top_k=12)
        ranks.append({hit["chunk_id"]: place for place, hit in enumerate(hits)})
    for hit in await search(filled, "all", query=query, fusion={"method": "rrf"}, top_k=12):
        wanted = sum(61 / (61 + rank[hit["chunk_id"]]) for rank in ranks if hit["chunk_id"] in rank) / 2
        assert hit["score"] == pytest.approx(wanted)


async def test_a_least_score_keeps_what_reaches_it(filled: httpx.AsyncClient) -> None:
    for mode in ("vector", "text", "hybrid"):
        whole = await search(filled, "all", query="cats by the sea", mode=mode, top_k=12)
        least = whole[4]["score"]
        kept = await search(filled, "all", query="cats by the sea", mode=mode, top_k=12, min_score=least)
        assert kept == [hit for hit in whole if hit["score"] >= least]
        assert await search(filled, "all", query="cats", mode=mode, min_score=99) == []


async def test_a_batch_answers_each_question_as_if_alone_in_order(filled: httpx.AsyncClient) -> None:
    questions: list[Any] = [TEXTS[n % 12].replace("and", "or") for n in range(97)]
    questions += [{"query": "cats", "vector": LocalEmbedder().embed(["dogs"])[0].tolist()}]
    questions += [{"like": {"document_key": TEXTS[0]}}, {"query": "-cats"}]
    response = await filled.post("/v1/collections/all/search", json={"queries": questions, "top_k": 3})
    results = response.json()["results"]
    assert len(results) == 100
    for place in (0, 1, 50, 96, 97, 98, 99):
        one = questions[place] if isinstance(questions[place], dict) else {"query": questions[place]}
        assert results[place]["hits"] == await search(filled, "all", top_k=3, **one)


async def test_several_collections_make_one_list(filled: httpx.AsyncClient) -> None:
    for request in ({"mode": "vector"}, {"fusion": {"vector_weight": 1}}):
        whole = await search(filled, "all", query="cats by the sea", top_k=12, **request)
        parts = (await ask(filled, ACROSS, query="cats by the sea", top_k=12, collections=["one", "two"], **request))[
            "hits"
        ]
        np.testing.assert_allclose([hit["score"] for hit in parts], [hit["score"] for hit in whole], atol=1e-5)
        assert {hit["document_key"]: hit["collection"] for hit in parts} == {
            text: "one" if text in TEXTS[:6] else "two" for text in TEXTS
        }
    answer = await ask(filled, ACROSS, query="stars", mode="text", collections=["two", "one"], explain=True)
    assert [plan["collection"] for plan in answer["explain"]["plans"]] == ["two", "one"]
    assert all("stars" in key for key in keys_of(answer["hits"]))


async def test_models_are_compared_by_how_far_they_stand_out(filled: httpx.AsyncClient, fake: FakeOpenAI) -> None:
    """The provider's vectors of the text itself stand out; its vectors of all else mean nothing."""
    calls = len(fake.calls)
    hits = (await ask(filled, ACROSS, query=TEXTS[3], collections=["all", "three"], top_k=24))["hits"]
    assert len(fake.calls) == calls + 1
    assert len(hits) == 24
    assert {hit["collection"] for hit in hits[:2]} == {"all", "three"}
    assert set(keys_of(hits[:2])) == {TEXTS[3]}
    assert all(0 <= hit["score"] <= 1 for hit in hits)
    for request in ({"mode": "vector"}, {"fusion": {"method": "rrf"}}, {"mode": "text"}):
        hits = (await ask(filled, ACROSS, query=TEXTS[3], collections=["three", "all"], top_k=2, **request))["hits"]
        assert set(keys_of(hits)) == {TEXTS[3]}


async def test_metrics_are_compared_by_how_far_passages_stand_out(filled: httpx.AsyncClient) -> None:
    """A similarity by distance is seldom below 0.4: as it is, it would take every place."""
    await make_collection(filled, "far", embedding_model="local", metric="l2")
    await upsert(filled, *[{"key": text, "content": text} for text in TEXTS], collection="far")
    request = {"query": "a cat at the seaside", "fusion": {"vector_weight": 1}, "collections": ["all", "far"]}
    hits = (await ask(filled, ACROSS, top_k=12, **request))["hits"]
    assert 4 <= [hit["collection"] for hit in hits].count("all") <= 8


async def test_what_a_query_excludes_is_not_embedded(filled: httpx.AsyncClient, fake: FakeOpenAI) -> None:
    for query, embedded in (("cats -dogs", "cats"), ('-"by the" cats', "cats"), ("-cats", "-cats")):
        await search(filled, "three", query=query)
        assert fake.calls[-1].texts[0].strip() == embedded
    await search(filled, "three", query="cats -dogs", mode="vector")
    assert fake.calls[-1].texts == ["cats -dogs"]


async def test_collections_that_are_unknown_or_named_twice_are_refused(filled: httpx.AsyncClient) -> None:
    for names, status, slug in (
        (["one", "one"], 400, "invalid-request"),
        ([], 400, "invalid-request"),
        (["x"] * 51, 400, "invalid-request"),
    ):
        response = await filled.post(ACROSS, json={"query": "cats", "collections": names})
        assert paths_of(problem_of(response, status, slug)) == ["collections"]
    response = await filled.post(ACROSS, json={"query": "cats", "collections": ["one", "nobody"]})
    assert "nobody" in problem_of(response, 404, "not-found")["detail"]
    response = await filled.post(ACROSS, json={"query": "cats"})
    assert paths_of(problem_of(response, 400, "invalid-request")) == ["collections"]


async def test_what_is_like_a_key_of_several_collections_is_in_none_of_them_itself(filled: httpx.AsyncClient) -> None:
    for name in ("one", "two"):
        await upsert(filled, {"key": "same", "content": "cats and stones"}, collection=name)
    for mode in ("text", "vector", "hybrid"):
        like = {"document_key": "same"}
        hits = (await ask(filled, ACROSS, like=like, collections=["one", "two"], top_k=20, mode=mode))["hits"]
        assert hits
        assert "same" not in keys_of(hits)


async def test_pages_go_across_collections(filled: httpx.AsyncClient) -> None:
    request: dict[str, Any] = {"query": "cats by the sea", "collections": ["one", "two", "three"], "top_k": 5}
    whole = (await ask(filled, ACROSS, **request | {"top_k": 100}))["hits"]
    assert len(whole) == 24
    seen: list[dict[str, Any]] = []
    cursor = None
    while cursor or not seen:
        answer = await ask(filled, ACROSS, paging=True, cursor=cursor, **request)
        seen, cursor = seen + answer["hits"], answer["next_cursor"]
    assert seen == whole


async def test_a_collection_made_anew_between_two_searches_is_the_one_that_is_searched(
    filled: httpx.AsyncClient,
) -> None:
    for request in (
        {"query": "cats"},
        {"query": "cats", "mode": "text"},
        {"query": "cats", "mode": "vector", "top_k": 1},
    ):
        assert await search(filled, "one", **request)
        assert (await ask(filled, ACROSS, collections=["one", "two"], **request))["hits"]
        (await filled.delete("/v1/collections/one")).raise_for_status()
        for path, more in (("/v1/collections/one/search", {}), (ACROSS, {"collections": ["two", "one"]})):
            problem_of(await filled.post(path, json=request | more), 404, "not-found")
        await make_collection(filled, "one", language="german", embedding_model="local", metric="l2")
        assert await search(filled, "one", **request) == []
        await upsert(filled, {"key": "new", "content": "cats"}, collection="one")
        assert keys_of(await search(filled, "one", **request)) == ["new"]
        (await filled.patch("/v1/collections/one", json={"name": "first"})).raise_for_status()
        problem_of(await filled.post("/v1/collections/one/search", json=request), 404, "not-found")
        assert keys_of(await search(filled, "first", **request)) == ["new"]
        (await filled.patch("/v1/collections/first", json={"name": "one"})).raise_for_status()


async def test_searches_while_a_collection_is_made_anew_answer_or_do_not_find_it(
    wide_client: httpx.AsyncClient,
) -> None:
    await make_collection(wide_client)
    statuses = set()

    async def make_anew() -> None:
        for _ in range(8):
            await wide_client.delete("/v1/collections/docs")
            await make_collection(wide_client)
            await upsert(wide_client, {"key": "a", "content": "cats"})

    making = asyncio.create_task(make_anew())
    while not making.done():
        for mode in ("hybrid", "vector"):
            response = await wide_client.post(
                "/v1/collections/docs/search", json={"query": "cats", "mode": mode, "top_k": 1}
            )
            statuses.add(response.status_code)
    await making
    assert statuses <= {200, 404, 409}
    assert keys_of(await search(wide_client, query="cats")) == ["a"]


async def test_an_unknown_collection_is_named_by_its_place(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    for names, path in ((["docs", "nowhere"], "collections[1]"), (["no/where", "docs"], "collections[0]")):
        answer = await client.post("/v1/search", json={"query": "x", "collections": names})
        assert paths_of(problem_of(answer, 404, "not-found")) == [path]
