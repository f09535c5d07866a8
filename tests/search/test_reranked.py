"""A search with a reranker: its order, in groups and pages, and what happens without its answer."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ragstore.app import create_app
from ragstore.database import Database
from ragstore.reranking.endpoint import make_reranker
from tests.builders import make_collection, search, upsert
from tests.conftest import make_settings, running
from tests.fake_reranker import URL, FakeReranker, Fault
from tests.search.stored import Given, ask, draw_vectors, keys_of, make_singles, store


@pytest.fixture
def fake() -> FakeReranker:
    return FakeReranker()


@pytest.fixture
async def reranking(database_url: str, fake: FakeReranker) -> AsyncIterator[httpx.AsyncClient]:
    settings = make_settings(database_url, rerank_url=URL, rerank_model="m", rerank_candidates=20)
    app = create_app(settings, reranker=make_reranker(settings, transport=fake.transport()))
    async with running(app) as client:
        await make_collection(client)
        yield client


async def test_the_reranker_has_the_last_word(reranking: httpx.AsyncClient, fake: FakeReranker) -> None:
    texts = {"a": "cats", "b": "cats sleep on warm stones", "c": "dogs"}
    await upsert(reranking, *[{"key": key, "content": text} for key, text in texts.items()])
    answer = await ask(reranking, query="cats sleep on stones", include=["scores"])
    assert answer["reranked"] is True
    assert keys_of(answer["hits"]) == ["b", "a", "c"]
    assert [hit["scores"]["rerank"] for hit in answer["hits"]] == [4, 1, 0]
    fake.script(Fault(status=500))
    answer = await ask(reranking, query="cats sleep on stones")
    assert answer["reranked"] is False
    assert answer["warnings"]
    assert len(answer["hits"]) == 3
    calls = len(fake.calls)
    options: list[dict[str, Any]] = [{"rerank": False}, {"paging": True}]
    for request in options:
        assert "reranked" not in await ask(reranking, query="cats", **request)
    assert len(fake.calls) == calls
    answer = await ask(reranking, like={"document_key": "a"}, rerank=True)
    assert answer["reranked"] is False
    assert "warnings" in answer


async def test_groups_are_as_many_when_one_document_owns_all_that_is_reranked(
    reranking: httpx.AsyncClient, database: Database
) -> None:
    best = Given("best", ["granite granite granite"] * 60, draw_vectors(1, 60))
    await store(database, best, *make_singles(draw_vectors(2, 15), "some granite in a long text about much else"))
    hits = await search(reranking, query="granite", mode="text", group_by="document", top_k=10)
    assert len(set(keys_of(hits))) == len(hits) == 10


async def test_as_many_are_reranked_as_are_wanted(reranking: httpx.AsyncClient, database: Database) -> None:
    await store(database, *make_singles(draw_vectors(2, 50)))
    for extra in ({}, {"diversity": 0.5}, {"neighbors": 1}, {"filter": {"$not": {"nothing": 1}}}):
        assert len(await search(reranking, query="granite", top_k=45, **extra)) == 45
