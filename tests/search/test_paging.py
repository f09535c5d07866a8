"""Walking a ranking page by page."""

import asyncio
import base64
from typing import Any

import httpx
import pytest

from ragstore.database import Database
from tests.builders import make_collection, paths_of, problem_of, search, upsert
from tests.search.stored import Given, ask, draw_vectors, keys_of, make_singles, store

URL = "/v1/collections/docs/search"
NEEDLE: list[float] = draw_vectors(0, 1)[0].tolist()
ALL_WAYS: list[dict[str, Any]] = [
    {"query": "granite", "mode": "text"},
    {"vector": NEEDLE},
    {"query": "granite", "vector": NEEDLE},
    {"query": "granite", "fusion": {"method": "rrf"}},
    {"query": "granite", "filter": {"$not": {"nothing": 1}}},
    {"query": "granite", "group_by": "document", "per_group": 2},
    {"query": "granite", "diversity": 0.3},
]


async def walk(client: httpx.AsyncClient, **request: Any) -> list[dict[str, Any]]:
    hits, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        answer = await ask(client, paging=True, cursor=cursor, **request)
        one_each = "document_id" if request.get("group_by") else "chunk_id"
        assert len({hit[one_each] for hit in answer["hits"]}) <= request.get("top_k", 10)
        hits += answer["hits"]
        cursor, pages = answer["next_cursor"], pages + 1
    return hits


@pytest.mark.parametrize("request_", ALL_WAYS, ids=lambda one: "-".join(one))
async def test_the_pages_together_are_one_big_search(
    client: httpx.AsyncClient, database: Database, request_: dict[str, Any]
) -> None:
    await make_collection(client)
    pairs = [Given(f"pair{n:03}", ["granite", "granite too"], draw_vectors(n + 9, 2)) for n in range(40)]
    await store(database, *make_singles(draw_vectors(1, 130)), *pairs)
    whole = await search(client, top_k=1000, include=["scores"], **request_)
    assert len(whole) == 210
    walked = await walk(client, top_k=37, include=["scores"], **request_)
    assert [hit["chunk_id"] for hit in walked] == [hit["chunk_id"] for hit in whole]
    for one, other in zip(walked, whole, strict=True):
        assert one["score"] == other["score"]
        for name in ("vector", "text"):
            wanted = other["scores"][name]
            assert one["scores"][name] == (wanted if wanted is None else pytest.approx(wanted, rel=1e-6))


async def test_pages_of_groups_end_after_a_thousand_passages(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await store(database, *[Given(f"{n:02}", ["granite"] * 60, draw_vectors(n + 9, 60)) for n in range(20)])
    walked = await walk(client, query="granite", group_by="document", per_group=60, top_k=100)
    assert len({hit["chunk_id"] for hit in walked}) == len(walked) == 1000
    documents = keys_of(walked)
    assert [key for place, key in enumerate(documents) if key != documents[place - 1]] == list(dict.fromkeys(documents))


async def test_writes_between_the_pages_neither_repeat_nor_hide(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await store(database, *make_singles(draw_vectors(1, 120)))
    request: dict[str, Any] = {"query": "granite", "vector": NEEDLE, "paging": True, "top_k": 20}
    before = keys_of(await search(client, query="granite", vector=NEEDLE, top_k=120))
    first = await ask(client, **request)
    doomed = before[25:35]
    for key in (*doomed, before[3]):
        (await client.delete("/v1/collections/docs/documents", params={"key": key})).raise_for_status()
    await store(database, *make_singles(draw_vectors(2, 30), "granite granite", prefix="new"))
    seen, cursor = keys_of(first["hits"]), first["next_cursor"]
    while cursor:
        answer = await ask(client, cursor=cursor, **request)
        if answer["next_cursor"]:
            assert len(answer["hits"]) == 20
        seen, cursor = seen + keys_of(answer["hits"]), answer["next_cursor"]
    assert seen == [key for key in before if key not in doomed]


async def test_writers_at_work_break_no_walk(wide_client: httpx.AsyncClient) -> None:
    await make_collection(wide_client)
    await upsert(wide_client, *[{"key": f"{n}", "content": f"granite {n}"} for n in range(60)])

    async def write() -> None:
        for turn in range(6):
            await upsert(wide_client, *[{"key": f"{n}", "content": f"granite {n} {turn}"} for n in range(0, 60, 7)])

    writing = asyncio.create_task(write())
    while not writing.done():
        walked = await walk(wide_client, query="granite", top_k=15)
        assert len({hit["chunk_id"] for hit in walked}) == len(walked)
        assert {f"{n}" for n in range(60) if n % 7} <= set(keys_of(walked))
    await writing


async def test_a_cursor_that_was_not_given_for_this_is_refused(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    await make_collection(client, "other")
    await store(database, *make_singles(draw_vectors(1, 60)))
    good: dict[str, Any] = {"query": "granite", "paging": True}
    cursor: str = (await ask(client, **good))["next_cursor"]
    raw = base64.urlsafe_b64decode(cursor)
    changed = bytearray(raw)
    changed[20] ^= 1
    for bad in (
        "", "x", "é", "\x00", cursor[:-1], cursor[: len(cursor) // 2], cursor[56 * 3 :], cursor + cursor, "A" * 10_000,
        base64.urlsafe_b64encode(raw[: 8 + 43 * 3]).decode(), base64.urlsafe_b64encode(raw[:8]).decode(),
        base64.urlsafe_b64encode(bytes(changed)).decode(), base64.urlsafe_b64encode(raw + raw[-43:]).decode(),
    ):  # fmt: skip
        response = await client.post(URL, json=good | {"cursor": bad})
        assert response.status_code == 400, (bad[:30], response.text[:200])
        assert paths_of(problem_of(response, 400, "invalid-cursor")) == ["cursor"]
    for other in ({"query": "basalt"}, {"mode": "text"}, {"filter": {"a": 1}}, {"min_score": 0.1}):
        response = await client.post(URL, json=good | other | {"cursor": cursor})
        assert paths_of(problem_of(response, 400, "invalid-cursor")) == ["cursor"]
    response = await client.post("/v1/collections/other/search", json=good | {"cursor": cursor})
    assert paths_of(problem_of(response, 400, "invalid-cursor")) == ["cursor"]
    assert len((await ask(client, cursor=cursor, **good | {"top_k": 50}))["hits"]) == 50
    assert len((await ask(client, cursor=cursor, query="granite"))["hits"]) == 10, "a cursor asks for a page by itself"


async def test_a_page_of_a_collection_that_is_gone_or_renamed_is_not_found(
    client: httpx.AsyncClient, database: Database
) -> None:
    await make_collection(client)
    await store(database, *make_singles(draw_vectors(1, 60)))
    good: dict[str, Any] = {"query": "granite", "paging": True}
    good["cursor"] = (await ask(client, **good))["next_cursor"]
    (await client.patch("/v1/collections/docs", json={"name": "other"})).raise_for_status()
    problem_of(await client.post(URL, json=good), 404, "not-found")
    (await client.delete("/v1/collections/other")).raise_for_status()
    problem_of(await client.post(URL, json=good), 404, "not-found")
