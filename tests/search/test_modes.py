"""Which way a request is answered, and what is refused, with the field that is wrong."""

from typing import Any

import httpx
import numpy as np
import pytest

from ragstore.embedding.local import LocalEmbedder
from tests.builders import make_collection, paths_of, problem_of, upsert
from tests.search.stored import ask, keys_of

DOCUMENTS = [
    {"key": "cats", "content": "Cats sleep most of the day."},
    {"key": "dogs", "content": "Dogs chase balls in the park."},
    {"key": "stars", "content": "Stars are made of hydrogen and helium."},
]
URL = "/v1/collections/docs/search"


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    await make_collection(client)
    await upsert(client, *DOCUMENTS)
    return client


async def test_the_mode_is_hybrid_unless_only_a_vector_is_given(filled: httpx.AsyncClient) -> None:
    vector = LocalEmbedder().embed(["cats"])[0].tolist()
    for request, mode in (
        ({"query": "cats"}, "hybrid"),
        ({"query": "cats", "vector": vector}, "hybrid"),
        ({"vector": vector}, "vector"),
        ({"like": {"document_key": "cats"}}, "hybrid"),
        ({"query": "cats", "mode": "text"}, "text"),
        ({"query": "cats", "mode": "vector"}, "vector"),
    ):
        assert (await ask(filled, explain=True, **request))["explain"]["mode"] == mode, request
    answer = await filled.post(URL, json={"queries": [{"vector": vector}, {"vector": vector}], "explain": True})
    assert [one["explain"]["mode"] for one in answer.json()["results"]] == ["vector", "vector"]


async def test_each_mode_scores_as_it_says(filled: httpx.AsyncClient) -> None:
    query, vectors = "cats of hydrogen", LocalEmbedder().embed([one["content"] for one in DOCUMENTS])
    cosines = dict(zip(keys_of([{"document_key": one["key"]} for one in DOCUMENTS]), vectors, strict=True))
    asked = LocalEmbedder().embed([query])[0]
    given: dict[str, Any] = {"query": query, "include": ["scores"]}
    by_text = (await ask(filled, mode="text", **given))["hits"]
    assert sorted(keys_of(by_text)) == ["cats", "stars"]
    for hit in by_text:
        assert hit["score"] == hit["scores"]["text"] > 0
        assert hit["scores"]["vector"] is None
    by_vector = (await ask(filled, mode="vector", **given))["hits"]
    for hit in by_vector:
        assert hit["score"] == pytest.approx(float(cosines[hit["document_key"]] @ asked), abs=1e-5)
        assert hit["scores"] == {"vector": hit["score"], "text": None, "rerank": None}
    both = (await ask(filled, **given))["hits"]
    assert len(both) == 3
    for hit in both:
        assert 0 <= hit["score"] <= 1
        assert hit["scores"]["vector"] == pytest.approx(float(cosines[hit["document_key"]] @ asked), abs=1e-5)


async def test_hybrid_searches_the_words_of_one_thing_and_the_vector_of_another(filled: httpx.AsyncClient) -> None:
    vector = LocalEmbedder().embed(["Dogs chase balls in the park."])[0].tolist()
    for weight, key in ((0, "stars"), (1, "dogs")):
        hits = (await ask(filled, query="hydrogen", vector=vector, fusion={"vector_weight": weight}))["hits"]
        assert hits[0]["document_key"] == key
    assert np.isclose(hits[0]["score"], 1)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"mode": "text"}, "query"),
    ({"mode": "text", "vector": [1.0]}, "query"),
    ({"mode": "text", "query": "x", "vector": [1.0]}, "vector"),
    ({"mode": "hybrid", "vector": [1.0]}, "query"),
    ({"mode": "vector", "query": "x", "vector": [1.0]}, "query"),
    ({"query": "x", "like": {"document_key": "cats"}}, "like"),
    ({"vector": [1.0], "like": {"document_key": "cats"}}, "like"),
    ({"like": {}}, "like"),
    ({"like": {"document_key": "cats", "chunk_id": "01890000-0000-7000-8000-000000000000"}}, "like"),
    ({"like": {"chunk_id": "x"}}, "like.chunk_id"),
    ({"queries": []}, "queries"),
    ({"queries": ["x"] * 101}, "queries"),
    ({"queries": ["x"], "query": "x"}, "queries"),
    ({"queries": ["x"], "vector": [1.0]}, "queries"),
    ({"queries": ["x"], "like": {"document_key": "cats"}}, "queries"),
    ({"queries": ["x"], "paging": True}, "paging"),
    ({"queries": ["x"], "cursor": "x"}, "paging"),
    ({"queries": ["x", " "]}, "queries[1].query"),
    ({"queries": ["x", {}]}, "queries[1].query"),
    ({"queries": ["x", {"query": "a\x00"}]}, "queries[1].query"),
    ({"queries": [{"query": "x"}, {"like": {}}]}, "queries[1].like"),
    ({"queries": ["x", {"query": "y", "like": {"document_key": "a"}}]}, "queries[1].like"),
    ({"query": "x", "per_group": 2}, "per_group"),
    ({"query": "x", "group_by": "document", "per_group": 0}, "per_group"),
    ({"query": "x", "group_by": "title"}, "group_by"),
    ({"query": "x", "paging": True, "rerank": True}, "rerank"),
    ({"query": "x", "top_k": 1001}, "top_k"),
    ({"query": "x", "diversity": 1.01}, "diversity"),
    ({"query": "x", "neighbors": 21}, "neighbors"),
    ({"query": "x", "neighbors": -1}, "neighbors"),
    ({"query": "x", "include": ["contents"]}, "include[0]"),
    ({"query": "x", "fusion": {"method": "sum"}}, "fusion.method"),
    ({"query": "x", "fusion": {"vector_weight": 1.5}}, "fusion.vector_weight"),
    ({"query": "x", "mode": "text", "fusion": {}}, "fusion"),
    ({"vector": [1.0], "fusion": {"vector_weight": 0.5}}, "fusion"),
    ({"query": "x", "fusion": {"method": "rrf", "vector_weight": 0.5}}, "fusion.vector_weight"),
    ({"queries": ["x", {"vector": [1.0]}]}, "mode"),
    ({"query": "x", "cursor": "x"}, "cursor"),
    ({"query": "x" * 100_001}, "query"),
    ({"query": 7}, "query"),
]


async def test_what_does_not_fit_is_refused_by_name(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    for request, path in REFUSED:
        response = await client.post(URL, json=request)
        slug = response.json().get("type", "").rpartition(":")[2]
        assert paths_of(problem_of(response, 400, slug)) == [path], str(request)[:100]


async def test_a_reranker_that_is_not_there_cannot_be_asked_for(filled: httpx.AsyncClient) -> None:
    response = await filled.post(URL, json={"query": "x", "rerank": True})
    assert paths_of(problem_of(response, 422, "unprocessable")) == ["rerank"]


async def test_a_bad_vector_or_example_of_a_batch_is_named(filled: httpx.AsyncClient) -> None:
    good = LocalEmbedder().embed(["cats"])[0].tolist()
    response = await filled.post(URL, json={"queries": [{"vector": good}, {"vector": [1.0, 2.0]}]})
    assert paths_of(problem_of(response, 422, "invalid-vector")) == ["queries[1].vector"]
    response = await filled.post(URL, json={"queries": ["cats", {"like": {"document_key": "nobody"}}]})
    assert paths_of(problem_of(response, 404, "not-found")) == ["queries[1].like.document_key"]


async def test_a_refusal_reads_alone(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    for request, said in (
        ({}, "query must be there, or vector, like or queries in its place."),
        ({"queries": [{}]}, "queries[0].query must be there, or vector or like in its place."),
        ({"query": "x", "vector": [1.0], "mode": "vector"}, "query cannot stand beside vector in mode vector."),
        ({"query": "x", "fusion": {}, "mode": "text"}, "fusion has no use in mode text."),
    ):
        answer = (await client.post(URL, json=request)).json()
        (field,) = answer["errors"]
        assert (answer["detail"], f"{field['path']} {field['message']}.") == (said, said)


async def test_a_batch_of_texts_and_vectors_needs_a_mode(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    vector = LocalEmbedder().embed(["x"])[0].tolist()
    mixed = {"queries": ["x", {"vector": vector}]}
    assert "must be there when some queries are vectors alone" in (await client.post(URL, json=mixed)).json()["detail"]
    assert (await client.post(URL, json=mixed | {"mode": "vector"})).status_code == 200
    (field,) = (await client.post(URL, json=mixed | {"mode": "hybrid"})).json()["errors"]
    assert field["path"] == "queries[1].query"
