"""A change of model from its start to its end, and back."""

from typing import Any

import numpy as np
import pytest

from ragstore.database import Database
from tests.builders import make_collection, paths_of, problem_of, search, upsert
from tests.fake_openai import FakeOpenAI, fake_vector
from tests.reembedding.kit import (
    ADDRESS,
    NEW,
    OLD,
    ask,
    call,
    count_gaps,
    count_vectors,
    documents,
    read_model,
    serving,
    wait_for,
)


@pytest.fixture
def fake() -> FakeOpenAI:
    return FakeOpenAI(width=64)


def texts_of(fake: FakeOpenAI, model: str) -> list[str]:
    return [text for call in fake.calls if call.body["model"] == model for text in call.texts]


async def test_the_new_model_takes_over_and_the_old_one_goes(
    database_url: str, database: Database, fake: FakeOpenAI
) -> None:
    async with serving(database_url, fake) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 300))
        assert (await call(client))["state"] == "none"
        started = await call(client, "POST", model=NEW)
        assert (started["state"], started["model_from"], started["model_to"]) == ("filling", OLD, NEW)
        assert started["job"]["kind"] == "reembed"
        switched = await wait_for(client, "switched")
        assert (switched["done"], switched["total"], switched["progress"]) == (300, 300, 1.0)
        assert switched["switched_at"] is not None
        assert await read_model(client) == NEW
        assert await count_vectors(database) == {OLD: 300, NEW: 300}
        # of the same texts, each once
        assert sorted(set(texts_of(fake, OLD))) == sorted(texts_of(fake, NEW)[1:])
        assert len(texts_of(fake, NEW)) == 301  # with the trial
        (hit,) = await search(
            client, query="No. 7\n\nall about the number 7", mode="vector", top_k=1, include=["vector"]
        )
        assert (hit["document_key"], round(hit["score"], 4)) == ("7", 1.0)
        expected = fake_vector("No. 7\n\nall about the number 7", 64)
        assert np.allclose(hit["vector"][:64], expected, atol=1e-6)
        assert not any(hit["vector"][64:])
        finished = await call(client, "POST", "finish")
        assert finished["state"] == "dropping"
        await wait_for(client, "none")
        assert await count_vectors(database) == {NEW: 300}
        await upsert(client, *documents(300, 301))
        assert await count_vectors(database) == {NEW: 301}
        like = (await client.get("/v1/collections/docs/documents?key=7")).json()["items"][0]["id"]
        assert await search(client, like={"document_id": like}, mode="vector", top_k=3)


async def test_without_keep_old_the_old_vectors_go_by_themselves(
    database_url: str, database: Database, fake: FakeOpenAI
) -> None:
    async with serving(database_url, fake) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 5))
        await call(client, "POST", model=NEW, keep_old=False)
        await wait_for(client, "none")
        assert await read_model(client) == NEW
        assert await count_vectors(database) == {NEW: 5}
        (job,) = (await client.get("/v1/jobs?kind=reembed")).json()["items"]
        assert job["result"]["state"] == "switched"
        assert job["result"]["overlap"]["queries"] == 5


async def test_by_hand_it_is_switched_and_rolled_back_with_both_kept_in_step(
    database_url: str, database: Database, fake: FakeOpenAI
) -> None:
    async with serving(database_url, fake) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 4))
        await call(client, "POST", model=NEW, switch="manual")
        ready = await wait_for(client, "ready")
        assert ready["overlap"]["queries"] == 4
        assert await read_model(client) == OLD
        await upsert(client, *documents(3, 6))
        assert await count_vectors(database) == {OLD: 6, NEW: 6}
        assert (await call(client, "POST", "switch"))["state"] == "switched"
        assert await read_model(client) == NEW
        await upsert(client, *documents(6, 8))
        assert await count_vectors(database) == {OLD: 8, NEW: 8}
        back = await call(client, "POST", "rollback")
        assert (back["state"], back["switched_at"], await read_model(client)) == ("ready", None, OLD)
        assert len(await search(client, query="number", mode="vector", top_k=10)) == 8
        assert (await call(client, "POST", "switch"))["state"] == "switched"
        assert (await call(client, "POST", "rollback"))["state"] == "ready"
        assert (await call(client, "DELETE"))["state"] == "dropping"
        await wait_for(client, "none")
        assert await count_vectors(database) == {OLD: 8}


async def test_deletes_and_replacements_take_both_vectors_along(
    database_url: str, database: Database, fake: FakeOpenAI
) -> None:
    async with serving(database_url, fake) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 4))
        await call(client, "POST", model=NEW)
        await wait_for(client, "switched")
        await client.delete("/v1/collections/docs/documents?key=1")
        await upsert(client, {"key": "2", "content": "another text"})
        assert await count_vectors(database) == {OLD: 3, NEW: 3}
        await client.delete("/v1/collections/docs")
        assert await count_vectors(database) == {}
        assert [tuple(row) for row in await ask(database, "SELECT * FROM reembedding")] == []


@pytest.mark.parametrize("metric", ["cosine", "l2", "inner_product"])
@pytest.mark.parametrize("questions", [[], ["one question", "all about the number 3"]], ids=["stored", "given"])
async def test_the_overlap_is_that_of_both_exact_answers(
    database_url: str, fake: FakeOpenAI, metric: str, questions: list[str]
) -> None:
    async with serving(database_url, fake) as client:
        await make_collection(client, metric=metric)
        given = documents(0, 40)
        await upsert(client, *given)
        await call(client, "POST", model=NEW, switch="manual", queries=questions)
        status = await wait_for(client, "ready")
    texts = [f"{one['title']}\n\n{one['content']}" for one in given]
    asked = questions or texts
    shares = []
    for question in asked:
        best = []
        for width in (1536, 64):
            stored = np.stack([fake_vector(text, width) for text in texts])
            scores = stored @ fake_vector(question, width)
            order = [place for place in np.argsort(-scores) if questions or texts[place] != question]
            best.append(set(order[:10]))
        shares.append(len(best[0] & best[1]) / 10)
    assert status["overlap"]["queries"] == len(asked)
    assert status["overlap"]["mean"] == pytest.approx(np.mean(shares), abs=1e-4)
    assert status["overlap"]["min"] == pytest.approx(min(shares))


async def test_an_empty_collection_changes_too(database_url: str, fake: FakeOpenAI) -> None:
    async with serving(database_url, fake) as client:
        await make_collection(client)
        await call(client, "POST", model=NEW)
        assert (await wait_for(client, "switched"))["overlap"] == {"queries": 0, "mean": 1.0, "min": 1.0}


async def test_a_wrong_step_is_refused(database_url: str, database: Database, fake: FakeOpenAI) -> None:
    async with serving(database_url, fake, run_jobs=False) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 2))
        for step in ("switch", "rollback", "finish"):
            problem_of(await client.post(f"{ADDRESS}/{step}"), 409, "conflict")
        problem_of(await client.delete(ADDRESS), 409, "conflict")
        present = problem_of(await client.post(ADDRESS, json={"model": OLD}), 422, "unprocessable")
        assert paths_of(present) == ["model"]
        for body in ({"model": " "}, {"model": "a\0b"}, {"model": "x" * 201}):
            assert paths_of(problem_of(await client.post(ADDRESS, json=body), 422, "unprocessable")) == ["model"]
        blank = problem_of(await client.post(ADDRESS, json={"model": NEW, "queries": ["a", ""]}), 422, "unprocessable")
        assert paths_of(blank) == ["queries[1]"]
        problem_of(await client.post(ADDRESS, json={"model": NEW, "switch": "never"}), 400, "invalid-request")
        problem_of(await client.post(ADDRESS, json={"model": NEW, "queries": ["a"] * 51}), 400, "invalid-request")
        first = await call(client, "POST", model=NEW)
        again = await call(client, "POST", model=NEW, switch="manual")
        assert again["job"]["id"] == first["job"]["id"]
        assert again["switch"] == "manual"
        problem_of(await client.post(ADDRESS, json={"model": "third"}), 409, "conflict")
        problem_of(await client.post(f"{ADDRESS}/switch"), 409, "conflict")  # vectors are missing
        assert await count_gaps(database, NEW) == 2
        assert await read_model(client) == OLD


async def test_a_stranger_neither_sees_nor_changes_anything(
    database_url: str, fake: FakeOpenAI, stranger_key: str
) -> None:
    stranger = {"Authorization": f"Bearer {stranger_key}"}
    async with serving(database_url, fake, run_jobs=False) as client:
        await make_collection(client)
        await call(client, "POST", model=NEW)
        calls = [
            ("GET", ""),
            ("POST", ""),
            ("DELETE", ""),
            ("POST", "/switch"),
            ("POST", "/rollback"),
            ("POST", "/finish"),
        ]
        for method, step in calls:
            body = {"model": NEW} if (method, step) == ("POST", "") else None
            response = await client.request(method, ADDRESS + step, json=body, headers=stranger)
            problem_of(response, 404, "not-found")
        assert (await call(client))["state"] == "filling"


async def test_a_process_that_has_not_heard_of_the_switch_answers_all_the_same(
    database_url: str, fake: FakeOpenAI
) -> None:
    """It remembers the collection as it was, whose vectors are gone by now."""
    requests: list[dict[str, Any]] = [
        {"query": "number", "mode": "vector", "top_k": 3},
        {"query": "number", "mode": "hybrid", "top_k": 3},
        {"like": {"document_key": "1"}, "mode": "vector", "top_k": 3},
        {"query": "number", "mode": "vector", "top_k": 3, "diversity": 0.5, "include": ["vector"]},
    ]
    async with serving(database_url, fake) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 5))
        for request in requests:
            async with serving(database_url, fake, run_jobs=False) as other:
                await search(other, query="number", mode="vector")
                goal = NEW if await read_model(client) == OLD else OLD
                await call(client, "POST", model=goal, keep_old=False)
                await wait_for(client, "none")
                assert len(await search(other, **request)) == 3, request


async def test_every_step_honours_the_idempotency_key(database_url: str, fake: FakeOpenAI) -> None:
    steps = [("POST", ""), ("POST", "/switch"), ("POST", "/rollback"), ("POST", "/switch"), ("POST", "/finish")]
    async with serving(database_url, fake) as client:
        await make_collection(client)
        for number, (method, step) in enumerate([*steps, ("POST", ""), ("DELETE", "")]):
            body = {"model": OLD if number == 5 else NEW, "switch": "manual"} if not step and method == "POST" else None
            headers = {"Idempotency-Key": f"{number}"}
            first = await client.request(method, ADDRESS + step, json=body, headers=headers)
            assert first.status_code < 300, (number, first.text)
            again = await client.request(method, ADDRESS + step, json=body, headers=headers)
            assert (again.status_code, again.content) == (first.status_code, first.content)
            assert again.headers["idempotent-replayed"] == "true"
            await wait_for(
                client, "none" if step == "/finish" or method == "DELETE" else first.json()["state"], "ready"
            )


async def test_a_change_that_begins_while_old_vectors_are_dropped_is_filled(
    database_url: str, database: Database, fake: FakeOpenAI
) -> None:
    """It was given the job that drops, and waited for ever."""
    async with serving(database_url, fake) as client:
        await make_collection(client)
        await upsert(client, *documents(0, 20))
        await call(client, "POST", model=NEW)
        await wait_for(client, "switched")
        await call(client, "POST", "finish")
        again = await call(client, "POST", model=OLD)
        assert again["job"]["kind"] == "reembed"
        await wait_for(client, "switched")
        assert await count_gaps(database, OLD) == 0
