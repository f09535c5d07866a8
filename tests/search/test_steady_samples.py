"""The sample that weighs words against vectors is the same in every process and every copy of a collection."""

import random
from typing import Any

import httpx

from ragstore.app import create_app
from tests.builders import make_collection, upsert
from tests.conftest import make_settings, running

COUNT = 700  # more than a sample holds
SOUNDS = ("per", "er", "l", "ne", "nite", "tern", "bour", "ing", "ed", "est", "ly", "ment")


async def find(client: httpx.AsyncClient, collection: str) -> list[tuple[str, float]]:
    body: dict[str, Any] = {"query": "copper river mill granite harbour", "top_k": 30}
    hits = (await client.post(f"/v1/collections/{collection}/search", json=body)).json()["hits"]
    return [(hit["document_key"], round(hit["score"], 6)) for hit in hits]


async def test_a_copy_and_another_process_give_the_same_hybrid_scores(
    client: httpx.AsyncClient, database_url: str
) -> None:
    chance = random.Random(7)
    words = [f"{start}{end}" for start in ("cop", "riv", "mil", "sto", "gra", "lan", "har") for end in SOUNDS]
    documents = [{"key": f"{n:04}", "content": " ".join(chance.choices(words, k=40))} for n in range(COUNT)]
    for name, given in (("docs", documents), ("copy", documents[::-1])):
        await make_collection(client, name)
        for start in range(0, COUNT, 100):
            await upsert(client, *given[start : start + 100], collection=name)
    found = await find(client, "docs")
    assert len(found) == 30
    assert await find(client, "copy") == found
    async with running(create_app(make_settings(database_url))) as another:
        assert await find(another, "docs") == found
