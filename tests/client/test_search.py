from collections.abc import Iterator

import httpx
import msgspec
import numpy as np
import pytest

from ragstore.client import Client, RagstoreClientError
from ragstore.embedding.local import LocalEmbedder
from ragstore.ingestion.schemas import DocumentUpsert
from ragstore.search.schemas import Explanation, Fusion, Like, Question
from ragstore.testing import run_ragstore

DOCUMENTS = [
    DocumentUpsert("Cats sleep most of the day.", "cats", "Cats", metadata={"year": 2020}),
    DocumentUpsert("Dogs chase balls in the park all day.", "dogs", metadata={"year": 2021}),
    DocumentUpsert("Stars are made of hydrogen and helium.", "stars"),
]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with run_ragstore() as store:
        for name in ("animals", "others"):
            store.client.ensure_collection(name)
        store.client.upsert_documents("animals", DOCUMENTS)
        store.client.upsert_documents("others", [DocumentUpsert("A cat that sleeps is a happy cat.", "happy")])
        store.client.upsert_documents("others", [DocumentUpsert(f"Numbered note {n}.", str(n)) for n in range(30)])
        yield store.client


def test_every_option_reaches_the_service(client: Client) -> None:
    found = client.search(
        "animals",
        "cats that sleep all day",
        mode="hybrid",
        top_k=2,
        filter={"year": {"$gte": 2020}},
        min_score=0.01,
        group_by="document",
        per_group=2,
        diversity=0.1,
        neighbors=1,
        highlight=True,
        include=("content", "scores", "vector"),
        fusion=Fusion(vector_weight=0.5),
        rerank=False,
        exact=True,
        explain=True,
    )
    best = found.hits[0]
    assert best.document_key == "cats"
    assert {hit.document_key for hit in found.hits} <= {"cats", "dogs"}
    assert [best.content[start:end] for start, end in best.highlights or ()] == ["Cats", "sleep", "day"]
    assert best.scores
    assert best.scores.text
    assert len(best.vector or ()) == 1536
    assert (best.neighbors, best.metadata) == ([], {})
    assert isinstance(found.explain, Explanation)
    assert (found.explain.vector_weight, found.explain.plans[0].matching) == (0.5, 2)


def test_a_vector_may_be_an_array(client: Client) -> None:
    vector: np.ndarray[tuple[int], np.dtype[np.float32]] = LocalEmbedder().embed(["hydrogen"])[0]
    assert client.search("animals", vector=vector.tolist()).hits == client.search("animals", vector=vector).hits  # type: ignore[arg-type]


def test_a_stored_document_is_a_question_too(client: Client) -> None:
    keys = [hit.document_key for hit in client.search("animals", like=Like(document_key="cats")).hits]
    assert set(keys) == {"dogs", "stars"}


def test_several_collections_are_one_list(client: Client) -> None:
    hits = client.search_across(["animals", "others"], "sleeping cat", top_k=2).hits
    assert {(hit.collection, hit.document_key) for hit in hits} == {("animals", "cats"), ("others", "happy")}


def test_any_number_of_queries_is_answered_in_order(client: Client) -> None:
    queries: list[str | Question] = ["cats", Question(query="dogs"), "stars"] * 40
    answers = client.search_batch("animals", queries, mode="text", top_k=1)
    assert [one.hits[0].document_key for one in answers] == ["cats", "dogs", "stars"] * 40
    assert client.search_batch("animals", []) == []


def test_a_walk_sees_every_passage_once(client: Client) -> None:
    walked = [hit.chunk_id for hit in client.walk_search("others", "numbered note", top_k=7)]
    assert len(walked) == 31
    assert walked == [hit.chunk_id for hit in client.search("others", "numbered note", top_k=1000).hits]


def test_a_refusal_names_the_option(client: Client) -> None:
    with pytest.raises(RagstoreClientError) as refusal:
        client.search("animals", "cats", per_group=3)
    assert [one.path for one in refusal.value.errors] == ["per_group"]


def test_a_new_collection_has_the_language_asked_for(client: Client) -> None:
    assert client.ensure_collection("deutsch", language="german").language == "german"
    assert client.ensure_collection("deutsch").language == "german"


@pytest.mark.parametrize("call", ["search", "search_across", "search_batch", "walk_search"])
def test_a_search_on_a_broken_connection_is_sent_again(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) == 1:
            raise httpx.ReadError("reset")
        return httpx.Response(200, json={"results": []} if call == "search_batch" else {"hits": []})

    with Client("http://service.test", "key", transport=httpx.MockTransport(handle)) as client:
        where = ["a"] if call == "search_across" else "a"
        answer = getattr(client, call)(where, ["x"] if call == "search_batch" else "x", mode=None)
        assert list(getattr(answer, "hits", answer)) == []
    assert len(asked) == 2
    assert "mode" not in msgspec.json.decode(asked[1].content)
