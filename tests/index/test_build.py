"""The job that builds and drops: what it leaves when all goes well, and when it does not."""

import asyncio
import uuid
from dataclasses import replace

import pytest

from ragstore.collection.indexing import INDEX, name_index
from ragstore.columns import new_id
from ragstore.database import Database
from ragstore.document.tidying import UPKEEP_LOCK
from ragstore.index.build import open_connection
from ragstore.index.handler import choose_memory
from ragstore.index.queries import build_index, prepare_build
from ragstore.job.outcomes import RetryLater
from ragstore.maintenance import queries
from ragstore.maintenance.vacuum import VacuumHandler
from ragstore.tenant.service import add_tenant
from tests.index.kit import (
    BUILDS,
    add_collection,
    add_job,
    find,
    held_up,
    is_valid,
    leave_invalid,
    make_handler,
    run_job,
    wait_for_build,
    working,
)
from tests.job.kit import Queue, wait_until


async def test_a_large_collection_gets_its_index_and_a_small_one_none(queue: Queue) -> None:
    large, small = await add_collection(queue, 100), await add_collection(queue, 99, name="small")
    assert (await run_job(queue, large))["index"] == "ready"
    assert await run_job(queue, small) == {"index": "none"}
    assert await is_valid(queue, large)
    assert await find(queue, small) is None


async def test_an_index_is_kept_until_half_the_threshold(queue: Queue) -> None:
    key = await add_collection(queue, 100)
    await run_job(queue, key)
    built = await find(queue, key)
    await queue.ask("UPDATE collection SET chunk_count = 50")
    assert (await run_job(queue, key))["index"] == "ready"
    assert await find(queue, key) == built
    await queue.ask("UPDATE collection SET chunk_count = 49")
    assert await run_job(queue, key) == {"index": "none"}
    assert await find(queue, key) is None


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM collection",
        "UPDATE collection SET index_mode = 'off'",
        "UPDATE collection SET model_id = 2",
    ],
    ids=["deleted", "off", "another model"],
)
async def test_an_index_that_nobody_wants_is_dropped(queue: Queue, change: str) -> None:
    key = await add_collection(queue, 100)
    await run_job(queue, key)
    given = {"tenant_id": key.tenant_id}
    await queue.ask("INSERT INTO embedding_model VALUES (:tenant_id, 2, 'other', 1)", **given)
    await queue.ask(change)
    assert await run_job(queue, key) == {"index": "none"}
    assert await find(queue, key) is None


async def test_what_a_broken_build_left_is_removed_and_built_anew(queue: Queue, writer: Database) -> None:
    key = await add_collection(queue, 100)
    await leave_invalid(queue, key, writer)
    left = await find(queue, key)
    assert (await run_job(queue, key))["index"] == "ready"
    built = await find(queue, key)
    assert built.valid
    assert built.oid != left.oid


async def test_a_build_shows_how_far_it_is(queue: Queue, writer: Database) -> None:
    key = await add_collection(queue, 100)
    job_id = await add_job(queue, key)
    async with working(queue):
        async with held_up(writer):
            await wait_for_build(queue)

            async def shown() -> bool:
                row = await queue.row(job_id)
                return "waiting for writers" in (row.message or "") and row.counts == {"done": 0, "total": 100}

            await wait_until(shown, 30)
        await queue.wait_for(job_id, "succeeded")
    assert await is_valid(queue, key)


async def test_a_build_whose_backend_is_killed_is_done_again(queue: Queue, writer: Database) -> None:
    key = await add_collection(queue, 100)
    job_id = await add_job(queue, key)
    async with working(queue):
        async with held_up(writer):
            first = await wait_for_build(queue)
            await queue.ask("SELECT pg_terminate_backend(:pid)", pid=first)

            async def failed_once() -> bool:
                return (await queue.row(job_id)).error is not None

            await wait_until(failed_once)
        row = await queue.wait_for(job_id, "succeeded")
    assert row.attempts == 1  # a database that went away costs none
    assert await is_valid(queue, key)


@pytest.mark.parametrize("how", ["cancelled", "lease lost", "mode off", "collection deleted"])
async def test_a_build_ends_with_what_it_was_for(queue: Queue, writer: Database, how: str) -> None:
    key = await add_collection(queue, 100)
    job_id = await add_job(queue, key)
    statements = {
        "cancelled": "UPDATE job SET state = 'cancelled', fence = fence + 1, worker = NULL, lease_until = NULL",
        "lease lost": "UPDATE job SET fence = fence + 1, worker = 'another', lease_until = now() + interval '1 hour'",
        "mode off": "UPDATE collection SET index_mode = 'off'",
        "collection deleted": "DELETE FROM collection",
    }
    async with working(queue):
        async with held_up(writer):
            await wait_for_build(queue)
            await queue.ask(statements[how])

            async def ended() -> bool:
                return await queue.ask(BUILDS) == []

            await wait_until(ended)

        async def gone() -> bool:
            return await find(queue, key) is None

        await wait_until(gone)
        if how in ("mode off", "collection deleted"):
            assert (await queue.wait_for(job_id, "succeeded")).result == {"index": "none"}


async def test_a_worker_that_stops_breaks_its_build_off_and_the_next_one_builds(queue: Queue, writer: Database) -> None:
    key = await add_collection(queue, 100)
    job_id = await add_job(queue, key)
    async with held_up(writer):
        async with queue.working(patience=0, handlers={INDEX: make_handler(queue).run}):
            await wait_for_build(queue)
        assert await queue.ask(BUILDS) == []
    async with working(queue):
        await queue.wait_for(job_id, "succeeded")
    assert await is_valid(queue, key)


async def test_a_build_ends_soon_after_its_worker_has_vanished(
    queue: Queue, writer: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragstore.index.queries.LOOK_SECONDS", 1)
    key, owner = await add_collection(queue, 100), make_handler(queue).owner
    async with held_up(writer), open_connection(owner) as connection:
        await prepare_build(connection, 64, 0)
        building = asyncio.create_task(build_index(connection, key))
        await wait_for_build(queue)
        connection.terminate()
        await asyncio.gather(building, return_exceptions=True)

        async def ended() -> bool:
            return await queue.ask(BUILDS) == []

        await wait_until(ended)
    await owner.close()


async def test_two_workers_build_one_index(queue: Queue, writer: Database) -> None:
    key = await add_collection(queue, 100)
    first = await add_job(queue, key)
    async with working(queue), working(queue):
        async with held_up(writer):
            await wait_for_build(queue)
            second = await add_job(queue, key)
            assert second != first

            async def gave_way() -> bool:
                return bool((await queue.row(second)).fence >= 4)  # claimed and given back, twice

            await wait_until(gave_way)
            assert len(await queue.ask(BUILDS)) == 1
        await queue.wait_for(first, "succeeded")
        built = await find(queue, key)
        row = await queue.wait_for(second, "succeeded")
    assert row.attempts == 1
    assert await find(queue, key) == built


async def test_another_tenants_index_is_not_touched(queue: Queue) -> None:
    stranger = new_id()
    async with queue.owner.transaction(stranger) as session:
        await add_tenant(session, stranger, "stranger")
    mine, theirs = await add_collection(queue, 100), await add_collection(queue, 100, tenant_id=stranger)
    await run_job(queue, mine)
    assert await find(queue, theirs) is None
    job_id = await add_job(queue, theirs)
    async with working(queue):
        await queue.wait_for(job_id, "succeeded")
    await queue.ask("DELETE FROM collection WHERE tenant_id = :tenant_id", tenant_id=queue.tenant_id)
    assert await run_job(queue, mine) == {"index": "none"}
    assert await is_valid(queue, theirs)


async def test_vacuum_gives_way_to_a_build(queue: Queue, writer: Database) -> None:
    """Both lock the table, and the build would be chosen as the deadlock's victim."""
    key = await add_collection(queue, 100)
    job_id = await add_job(queue, key)
    vacuum = VacuumHandler(queue.owner)
    await queue.add("vacuum")
    (job,) = await queue.claim(kinds=("vacuum",))
    async with working(queue):
        async with held_up(writer):
            await wait_for_build(queue)
            with pytest.raises(RetryLater):
                await vacuum.run(queue.context(job))
        await queue.wait_for(job_id, "succeeded")
        assert await vacuum.run(queue.context(job)) == {"vacuumed": True}


async def test_a_build_gives_way_to_a_vacuum(queue: Queue) -> None:
    key = await add_collection(queue, 100)
    await add_job(queue, key)
    (job,) = await queue.claim(kinds=(INDEX,))
    async with queue.owner.engine.connect() as connection:
        await connection.execute(queries.TRY_LOCK, {"lock": UPKEEP_LOCK})
        with pytest.raises(RetryLater):
            await make_handler(queue).run(queue.context(job))
        await connection.invalidate()
    assert (await make_handler(queue).run(queue.context(job)))["index"] == "ready"


async def test_a_collection_that_is_being_filled_waits_for_its_index(queue: Queue) -> None:
    """A row costs a build far less than it costs an index that is there."""
    key = await add_collection(queue, 100)
    job_id = await add_job(queue, key)
    handler = make_handler(queue)
    handler.options = replace(handler.options, quiet=0.3)

    async def fill() -> None:
        while True:
            await queue.ask("UPDATE collection SET chunk_count = chunk_count * 1.1")
            await asyncio.sleep(0.02)

    async def gave_way() -> bool:
        return bool((await queue.row(job_id)).fence >= 4)  # claimed and given back, twice

    async with queue.working(handlers={INDEX: handler.run}):
        filling = asyncio.create_task(fill())
        await wait_until(gave_way)
        assert await find(queue, key) is None
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        row = await queue.wait_for(job_id, "succeeded")
    assert row.attempts == 1
    assert await is_valid(queue, key)


async def test_who_asks_for_an_index_does_not_wait(queue: Queue) -> None:
    key = await add_collection(queue, 100, mode="on")
    handler = make_handler(queue)
    handler.options = replace(handler.options, quiet=3600)
    job_id = await add_job(queue, key)
    async with queue.working(handlers={INDEX: handler.run}):
        await queue.wait_for(job_id, "succeeded")


async def test_who_does_not_own_the_table_says_so(queue: Queue) -> None:
    key = await add_collection(queue, 100)
    job_id = await add_job(queue, key)
    handler = make_handler(queue)
    handler.owner = queue.app
    async with queue.working(handlers={INDEX: handler.run}):
        row = await queue.wait_for(job_id, "failed")
    assert row.attempts == 1
    assert "RAGSTORE_OWNER_DATABASE_URL" in row.error["detail"]


async def test_two_jobs_in_one_process_do_not_build_at_once(queue: Queue, writer: Database) -> None:
    keys = [await add_collection(queue, 100, name=name) for name in ("a", "b")]
    jobs = [await add_job(queue, key) for key in keys]
    async with working(queue):
        async with held_up(writer):
            await wait_for_build(queue)
            await asyncio.sleep(0.2)
            assert len(await queue.ask(BUILDS)) == 1
        for job_id in jobs:
            await queue.wait_for(job_id, "succeeded")
    assert all([await is_valid(queue, key) for key in keys])


def test_a_build_asks_for_the_memory_it_needs_and_no_more_than_it_may() -> None:
    assert choose_memory(0, 512) == 64
    assert choose_memory(200_000, 512) > 200
    assert choose_memory(10**7, 512) == 512
    assert choose_memory(10**7, 32) == 32


def test_names_differ_by_tenant_collection_and_model() -> None:
    one, two = uuid.UUID(int=1), uuid.UUID(int=2)
    names = {name_index(one, one, 1), name_index(two, one, 1), name_index(one, two, 1), name_index(one, one, 2)}
    assert len(names) == 4
    assert all(len(name) <= 63 for name in names)
