"""What a legal request may cost, and what others may do meanwhile."""

from typing import Any

import httpx
import pytest

from ragstore.database import Database
from ragstore.document import filter_lookups
from ragstore.document.filter_sql import compile_documents
from ragstore.document.filters import parse_filter
from ragstore.lexical.analysis import Analyzer
from ragstore.lexical.query import LexicalQuery, parse_query
from ragstore.search import hits, queries
from tests.builders import make_collection, paths_of, problem_of, search, upsert
from tests.search.stored import Given, ask, draw_vectors, make_singles, store

URL = "/v1/collections/docs/search"


def test_or_within_or_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each level used to double the work: 31 levels are legal."""
    tree: dict[str, Any] = {"a": 1}
    for _ in range(30):
        tree = {"$or": [tree, {"b": 2}]}
    looked_at: list[object] = []
    find_lookup = filter_lookups.find_lookup

    def count_lookups(node: Any) -> Any:
        looked_at.append(node)
        return find_lookup(node)

    monkeypatch.setattr(filter_lookups, "find_lookup", count_lookups)
    compile_documents(parse_filter(tree))
    assert len(looked_at) <= 100


async def test_or_over_two_keys_counts_a_document_once(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, *[{"key": str(n), "content": "granite", "metadata": {"a": 1, "b": 2}} for n in range(7)])
    answer = await ask(client, query="granite", filter={"$or": [{"a": 1}, {"b": 2}]}, explain=True)
    assert answer["explain"]["plans"][0]["matching"] == 7


@pytest.mark.parametrize(
    "request_",
    [
        {"query": "x", "top_k": 1000, "neighbors": 20},
        {"query": "x", "top_k": 1000, "include": ["vector"], "neighbors": 1},
        {"queries": ["x"] * 100, "top_k": 1000},
        {"query": "x", "top_k": 1000, "group_by": "document", "per_group": 100},
    ],
    ids=str,
)
async def test_an_answer_too_large_to_hold_is_refused(client: httpx.AsyncClient, request_: dict[str, Any]) -> None:
    await make_collection(client)
    response = await client.post(URL, json=request_)
    assert paths_of(problem_of(response, 400, "invalid-request")) == ["top_k"]


async def test_highlights_read_the_query_once(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_collection(client)
    await upsert(client, *[{"key": str(n), "content": "granite"} for n in range(20)])
    read: list[str] = []

    def count_readings(text: str, analyzer: Analyzer) -> LexicalQuery:
        read.append(text)
        return parse_query(text, analyzer)

    monkeypatch.setattr(hits, "parse_query", count_readings)
    assert len((await ask(client, query="granite", top_k=20, highlight=True))["hits"]) == 20
    assert read == ["granite"]


async def test_a_passage_that_was_found_is_there_though_its_document_is_replaced(
    wide_client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_collection(wide_client)
    await upsert(wide_client, {"key": "a", "content": "granite is hard"})
    read_passages, replaced = queries.read_passages, []

    async def replace_first(*given: Any, **named: Any) -> list[Any]:
        replaced.extend(await upsert(wide_client, {"key": "a", "content": "granite is old"}))
        return await read_passages(*given, **named)

    monkeypatch.setattr(queries, "read_passages", replace_first)
    (hit,) = await search(wide_client, query="granite", mode="hybrid")
    assert (hit["content"], replaced[0]["version"]) == ("granite is hard", 2)


async def test_diversity_leaves_no_document_out(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await store(database, *[Given(f"{n:02}", ["granite"] * 60, draw_vectors(n + 9, 60)) for n in range(25)])
    found = await search(client, query="granite", group_by="document", top_k=25, diversity=0.3)
    assert len({hit["document_key"] for hit in found}) == 25


async def test_what_is_left_is_measured_without_the_example(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await store(database, *make_singles(draw_vectors(1, 2)))
    (hit,) = await search(client, like={"document_key": "00000"})
    assert hit["score"] == 1.0


async def test_equal_scores_are_ranked_by_how_near_they_are(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    contents = [f"green {word}" for word in ("tractor", "meadow", "parliament", "algebra")]
    await upsert(client, *[{"key": str(n), "content": content} for n, content in enumerate(contents)])
    found = await search(client, query="green", fusion={"vector_weight": 0}, include=["scores"])
    near = [hit["scores"]["vector"] for hit in found]
    assert len({hit["score"] for hit in found}) == 1
    assert near == sorted(near, reverse=True)
