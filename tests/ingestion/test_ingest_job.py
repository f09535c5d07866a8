"""The job that stores what was accepted."""

import asyncio

import pytest

from ragstore.errors import ProviderFailed
from ragstore.job.outcomes import LeaseLost
from tests.builders import make_collection, upsert
from tests.fake_openai import Fault
from tests.ingestion.kit import DOCUMENTS, Workplace, number

REFUSED = Fault(status=404)
SLOW = Fault(delay=0.4)


async def test_it_goes_on_where_the_last_commit_was(workplace: Workplace) -> None:
    """Documents without a key would be there twice if it began anew, and every text would be embedded twice."""
    await workplace.accept(*[{"content": f"text {one}"} for one in range(250)])
    workplace.fake.script(Fault(), Fault(), REFUSED)
    job = await workplace.claim(lease=0.01)
    with pytest.raises(ProviderFailed):
        await workplace.work(job)
    half = await workplace.read_job(str(job.id))
    assert half["counts"] == {"done": 200, "total": 250, "failures": 0, "chunks": 200}
    assert (half["progress"], half["message"]) == (0.8, "200 of 250 documents")
    assert half["eta_seconds"] >= 0  # rounded: the rest of it may take less than can be told
    assert half["result"]["created"] == 200

    await asyncio.sleep(0.05)
    workplace.fake.calls.clear()
    done = await workplace.work(await workplace.claim())
    assert (done["state"], done["attempts"], done["progress"]) == ("succeeded", 2, 1.0)
    assert done["result"]["created"] == 250
    assert sum(len(call.texts) for call in workplace.fake.calls) == 50
    assert await workplace.count("document") == 250


async def test_a_finished_job_whose_worker_did_not_hear_of_it_stores_nothing_again(workplace: Workplace) -> None:
    await workplace.accept(*number(2))
    job = await workplace.claim()
    await workplace.work(job)
    with pytest.raises(LeaseLost):
        await workplace.work(job)
    assert await workplace.count("file") == 0


@pytest.mark.parametrize("meanwhile", ["accepted", "stored", "stored alike", "deleted", "deleted by filter"])
async def test_what_was_asked_for_last_is_what_stays(workplace: Workplace, meanwhile: str) -> None:
    """The earlier job runs last, as when it is tried again."""
    await upsert(workplace.client, {"key": "a", "content": "first", "metadata": {"x": 1}})
    early = await workplace.accept({"key": "a", "content": "early"}, {"key": "b", "content": "early"})
    earlier = await workplace.claim()
    match meanwhile:
        case "accepted":
            await workplace.accept({"key": "a", "content": "late"})
            assert (await workplace.work(await workplace.claim()))["result"]["updated"] == 1
        case "stored":
            await upsert(workplace.client, {"key": "a", "content": "late"})
        case "stored alike":
            (same,) = await upsert(workplace.client, {"key": "a", "content": "first", "metadata": {"x": 1}})
            assert same["status"] == "unchanged"
        case "deleted":
            await workplace.client.delete(DOCUMENTS, params={"key": "a"})
        case "deleted by filter":
            await workplace.client.delete(DOCUMENTS, params={"filter": '{"x": 1}'})
    done = await workplace.work(earlier)
    assert done["id"] == early["job"]["id"]
    assert (done["state"], done["result"]["superseded"], done["result"]["created"]) == ("succeeded", 1, 1)
    late = {"accepted": "late", "stored": "late", "stored alike": "first"}
    assert await workplace.read_contents() == ({"a": late[meanwhile]} if meanwhile in late else {}) | {"b": "early"}
    assert await workplace.count("accepted_key") == 0


async def test_jobs_of_the_same_key_in_order_leave_the_later_version(workplace: Workplace) -> None:
    await workplace.accept({"key": "a", "content": "early"})
    await workplace.accept({"key": "a", "content": "late"})
    first = await workplace.work(await workplace.claim())
    second = await workplace.work(await workplace.claim())
    assert (first["result"]["superseded"], second["result"]["created"]) == (1, 1)
    assert await workplace.read_contents() == {"a": "late"}


async def test_a_document_that_is_stored_while_the_job_embeds_stays(workplace: Workplace) -> None:
    await workplace.accept({"key": "a", "content": "early"}, {"key": "b", "content": "early"})
    workplace.fake.script(SLOW)
    working = asyncio.create_task(workplace.work(await workplace.claim()))
    await workplace.wait_for_calls(1)
    await upsert(workplace.client, {"key": "a", "content": "late"})
    done = await working
    assert (done["result"]["superseded"], done["result"]["created"]) == (1, 1)
    assert await workplace.read_contents() == {"a": "late", "b": "early"}


async def test_a_renamed_collection_gets_its_documents_all_the_same(workplace: Workplace) -> None:
    await workplace.accept(*number(2))
    await workplace.client.patch("/v1/collections/docs", json={"name": "renamed"})
    await make_collection(workplace.client, "docs")
    assert (await workplace.work(await workplace.claim()))["state"] == "succeeded"
    assert len(await workplace.read_contents("renamed")) == 2
    assert await workplace.read_contents("docs") == {}


async def test_a_deleted_collection_cancels_what_waits_and_what_runs(workplace: Workplace) -> None:
    running = await workplace.accept(*number(2))
    claimed = await workplace.claim()
    waiting = await workplace.accept({"key": "other", "content": "x"})
    workplace.fake.script(SLOW)
    working = asyncio.create_task(workplace.work(claimed))
    await workplace.wait_for_calls(1)
    gone = await workplace.client.delete("/v1/collections/docs")
    assert gone.json() == {"documents": 0, "chunks": 0, "files": 2}
    await make_collection(workplace.client)
    with pytest.raises(LeaseLost):
        await working
    for accepted in (running, waiting):
        job = await workplace.read_job(accepted["job"]["id"])
        assert (job["state"], job["error"]["detail"]) == ("cancelled", "The collection was deleted.")
    assert await workplace.read_contents() == {}
    assert [await workplace.count(table) for table in ("file", "accepted_key", "document")] == [0, 0, 0]


async def test_a_job_that_finds_its_collection_gone_ends_as_cancelled(workplace: Workplace) -> None:
    """It was accepted while the collection was being deleted."""
    await workplace.accept(*number(2))
    await workplace.queue.ask("DELETE FROM collection")
    done = await workplace.work(await workplace.claim())
    assert (done["state"], done["error"]["type"]) == ("cancelled", "urn:ragstore:error:not-found")
    assert await workplace.count("file") == 0
    again = await workplace.client.post(f"/v1/jobs/{done['id']}/retry")
    assert again.json()["state"] == "queued"
    assert (await workplace.work(await workplace.claim()))["state"] == "cancelled"


async def test_a_cancelled_job_keeps_what_it_stored_and_says_how_much(workplace: Workplace) -> None:
    accepted = await workplace.accept(*number(250))
    workplace.fake.script(Fault(), SLOW)
    async with workplace.queue.working(handlers={"ingest": workplace.handler.run}):
        await workplace.wait_for_calls(2)
        cancelled = await workplace.client.post(f"/v1/jobs/{accepted['job']['id']}/cancel")
        assert cancelled.json()["result"]["created"] == 100
        await asyncio.sleep(0.6)
    assert await workplace.count("document") == 100
    again = await workplace.client.post(f"/v1/jobs/{accepted['job']['id']}/retry")
    assert again.status_code == 200
    done = await workplace.work(await workplace.claim())
    assert (done["result"]["created"], done["state"]) == (250, "succeeded")


async def test_a_large_document_is_a_batch_of_its_own(workplace: Workplace) -> None:
    long = "word " * 230_000
    await workplace.accept({"key": "a", "content": "x"}, {"key": "b", "content": long}, {"key": "c", "content": "y"})
    done = await workplace.work(await workplace.claim())
    assert done["result"]["created"] == 3
    assert [len(call.texts) for call in workplace.fake.calls if len(call.texts) == 1] == [1, 1]
