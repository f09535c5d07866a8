"""What one statement or transaction does; no worker runs."""

import asyncio
import uuid

import pytest
from sqlalchemy import text

from ragstore.errors import Conflict
from ragstore.job import queries
from ragstore.job.context import ClaimedJob
from ragstore.job.outcomes import LONGEST_DELAY, LeaseLost, choose_delay
from ragstore.job.service import JobService, enqueue, enqueue_system
from tests.job.kit import Queue, leave_effect


async def test_a_job_of_a_transaction_that_is_rolled_back_was_never_there(queue: Queue) -> None:
    with pytest.raises(RuntimeError):  # noqa: PT012  # the block is what fails
        async with queue.app.transaction(queue.tenant_id) as session:
            await enqueue(session, queue.tenant_id, "work")
            raise RuntimeError
    assert await queue.claim() == []


async def test_the_smaller_priority_runs_first_then_the_older(queue: Queue) -> None:
    late = await queue.add()
    later = await queue.add()
    urgent = await queue.add(priority=-1)
    assert [one.id for one in await queue.claim(5)] == [urgent, late, later]
    assert await queue.claim(5) == []


async def test_a_delayed_job_waits_and_says_how_long(queue: Queue) -> None:
    await queue.add(delay=60)
    assert await queue.claim() == []
    async with queue.app.transaction() as session:
        seconds = await queries.seconds_until_next(session, ["work"])
        assert await queries.seconds_until_next(session, ["other"]) is None
    assert seconds is not None
    assert 50 < seconds <= 60


async def test_a_kind_nobody_here_knows_is_left_alone(queue: Queue) -> None:
    await queue.add("of another version")
    assert await queue.claim(5) == []
    assert len(await queue.claim(5, kinds=("work", "of another version"))) == 1


async def test_claims_at_once_never_share_a_job(queue: Queue) -> None:
    ids = [await queue.add() for _ in range(60)]
    claimed = [one.id for batch in await asyncio.gather(*(queue.claim(7) for _ in range(12))) for one in batch]
    claimed += [one.id for one in await queue.claim(60)]
    assert sorted(claimed) == sorted(ids)


async def test_a_duplicate_of_a_waiting_job_is_that_job(queue: Queue) -> None:
    first = await queue.add(dedupe_key="a")
    assert await queue.add(dedupe_key="a") == first
    assert await queue.add(dedupe_key="b") != first
    assert await queue.add("other", dedupe_key="a") != first
    (running,) = await queue.claim()
    assert running.id == first
    assert await queue.add(dedupe_key="a") != first  # the running one may have looked already


async def test_a_job_does_not_begin_before_those_who_count_on_it_have_committed(queue: Queue) -> None:
    first = await queue.add(dedupe_key="a")
    async with queue.app.transaction(queue.tenant_id) as session:
        assert await enqueue(session, queue.tenant_id, "work", dedupe_key="a") == first
        assert await queue.claim() == []
    assert [one.id for one in await queue.claim()] == [first]


async def test_many_at_once_make_one_waiting_job(queue: Queue) -> None:
    ids = await asyncio.gather(*(queue.add(dedupe_key="a") for _ in range(14)))
    assert len(set(ids)) == 1


async def test_a_job_of_the_system_can_be_asked_for_by_a_tenant_and_is_not_its_own(queue: Queue) -> None:
    async with queue.app.transaction(queue.tenant_id) as session:
        job_id = await enqueue_system(session, "work", dedupe_key="a")
        assert await queries.find(session, queue.tenant_id, job_id) is None
    (claimed,) = await queue.claim()
    assert (claimed.id, claimed.tenant_id) == (job_id, uuid.UUID(int=0))


async def test_a_lease_that_ran_out_is_claimed_again_with_a_greater_fence(queue: Queue) -> None:
    await queue.add()
    (first,) = await queue.claim(lease=0.05)
    assert await queue.claim() == []
    await asyncio.sleep(0.06)
    (second,) = await queue.claim()
    assert (second.id, second.attempt) == (first.id, 2)
    assert second.fence > first.fence
    late = queue.context(first)
    with pytest.raises(LeaseLost):
        async with late.transaction() as session:
            await leave_effect(late, session, 1)
    async with queue.context(second).transaction() as session:
        await queue.context(second).finish(session, {"pages": 3})
    assert await queue.ask("SELECT * FROM effect") == []
    assert (await queue.row(first.id)).result == {"pages": 3}


async def test_nobody_claims_a_job_in_the_middle_of_its_transaction(queue: Queue) -> None:
    await queue.add()
    (job,) = await queue.claim(lease=0.05)
    context = queue.context(job, lease=0.05)
    async with context.transaction() as session:
        await asyncio.sleep(0.1)
        assert await queue.claim() == []
        await leave_effect(context, session, 1)
    assert await queue.claim() == []  # a long transaction renews the lease itself
    assert (await queue.row(job.id)).fence == job.fence


async def test_what_a_job_did_and_that_it_succeeded_are_one_commit(queue: Queue) -> None:
    await queue.add()
    (job,) = await queue.claim()
    context = queue.context(job)
    with pytest.raises(RuntimeError):  # noqa: PT012  # the block is what fails
        async with context.transaction() as session:
            await leave_effect(context, session, 1)
            await context.finish(session)
            raise RuntimeError
    assert await queue.ask("SELECT * FROM effect") == []
    assert (await queue.row(job.id)).state == "running"


async def test_a_poison_job_ends_with_the_reason(queue: Queue) -> None:
    job_id = await queue.add(max_attempts=2)
    for attempt in (1, 2):
        (job,) = await queue.claim(lease=0.01)
        assert job.attempt == attempt
        await asyncio.sleep(0.02)
    assert await queue.claim() == []
    row = await queue.row(job_id)
    assert (row.state, row.attempts, row.error["type"]) == ("failed", 2, "urn:ragstore:error:worker-lost")
    assert "2 times" in row.error["detail"]


async def test_renewing_passes_over_locked_rows_and_names_what_is_held(queue: Queue) -> None:
    await queue.add()
    await queue.add()
    async with queue.app.transaction() as session:
        rows = await queries.claim(session, ["work"], "me", 1, 2)
    one, other = (row.id for row in rows)
    locked = queue.context(ClaimedJob(*tuple(rows[0])))
    async with locked.transaction(), queue.app.transaction() as session:
        mine = await asyncio.wait_for(queries.renew(session, "me", [one, other], 600), 2)
    assert set(mine) == {one, other}
    left = {
        row.id: row.left
        for row in await queue.ask("SELECT id, extract(epoch FROM lease_until - now()) AS left FROM job")
    }
    assert left[other] > 500 > left[one]


async def test_a_released_job_keeps_its_attempt_and_is_free_at_once(queue: Queue) -> None:
    job_id = await queue.add()
    async with queue.app.transaction() as session:
        await queries.claim(session, ["work"], "me", 600, 1)
    async with queue.app.transaction() as session:
        assert await queries.release(session, "me") == 1
    (again,) = await queue.claim()
    assert (again.id, again.attempt) == (job_id, 1)


async def test_a_job_that_has_a_successor_is_not_tried_again(queue: Queue) -> None:
    first = await queue.add(dedupe_key="a")
    (job,) = await queue.claim()
    successor = await queue.add(dedupe_key="a")
    async with queue.context(job).transaction() as session:
        assert await queries.requeue(session, *job.key, delay=0, error=None, counts_attempt=True)
    assert ((await queue.row(first)).state, (await queue.row(successor)).state) == ("cancelled", "queued")
    async with queue.app.transaction() as session:
        await queries.claim(session, ["work"], "me", 600, 1)
    await queue.add(dedupe_key="a")
    async with queue.app.transaction() as session:
        assert await queries.release(session, "me") == 1
    assert (await queue.row(successor)).state == "cancelled"
    with pytest.raises(Conflict):
        async with queue.app.transaction(queue.tenant_id) as session:
            await JobService(session, queue.tenant_id).retry(first)


async def test_cancel_and_retry_move_a_job_as_their_names_say(queue: Queue) -> None:
    job_id = await queue.add(max_attempts=1)
    async with queue.app.transaction(queue.tenant_id) as session:
        jobs = JobService(session, queue.tenant_id)
        assert (await jobs.cancel(job_id)).state == "cancelled"
        assert (await jobs.cancel(job_id)).state == "cancelled"
    assert await queue.claim() == []
    async with queue.app.transaction(queue.tenant_id) as session:
        again = await JobService(session, queue.tenant_id).retry(job_id)
    assert (again.state, again.attempts, again.finished_at) == ("queued", 0, None)
    (job,) = await queue.claim()
    async with queue.app.transaction(queue.tenant_id) as session:
        await JobService(session, queue.tenant_id).cancel(job_id)
    with pytest.raises(LeaseLost):
        await queue.context(job).report(done=1)


async def test_progress_adds_up(queue: Queue) -> None:
    job_id = await queue.add()
    (job,) = await queue.claim()
    context = queue.context(job)
    await context.report(done=1, total=4, message="reading")
    async with context.transaction() as session:
        await context.report(done=2, failures=1, session=session)
    row = await queue.row(job_id)
    assert (row.counts, row.message) == ({"done": 2, "total": 4, "failures": 1}, "reading")


def test_retries_come_ever_later_but_not_for_ever() -> None:
    for attempt, longest in ((1, 2.0), (2, 4.0), (5, 32.0), (40, LONGEST_DELAY)):
        delays = [choose_delay(attempt, 2.0) for _ in range(50)]
        assert longest / 2 <= min(delays) < max(delays) <= longest


async def test_a_tenant_neither_sees_nor_moves_anothers_jobs(queue: Queue, stranger_key: str) -> None:
    """With every predicate of our own stripped: the database alone keeps them apart."""
    job_id = await queue.add()
    (stranger,) = await queue.ask("SELECT id FROM tenant WHERE name = 'stranger'")
    async with queue.app.transaction(stranger.id) as session:
        connection = await session.connection()
        assert (await connection.execute(text("SELECT count(*) FROM job"))).scalar_one() == 0
        assert (await connection.execute(text("UPDATE job SET state = 'cancelled'"))).rowcount == 0
        assert (await connection.execute(text("DELETE FROM job"))).rowcount == 0
    for tenant_id in (queue.tenant_id, uuid.UUID(int=0)):
        with pytest.raises(Exception) as refused:  # noqa: PT011  # whatever it is called
            async with queue.app.transaction(stranger.id) as session:
                await enqueue(session, tenant_id, "work")
        assert "row-level security" in str(refused.value.__cause__)
    assert (await queue.row(job_id)).state == "queued"


async def test_two_jobs_of_one_key_are_given_back_as_one_and_hold_up_no_other(queue: Queue) -> None:
    """The second was enqueued while the first ran, which is how vacuums come."""
    first = await queue.add(dedupe_key="same")
    async with queue.app.transaction() as session:
        await queries.claim(session, ("work",), "me", 30, 1)
    second, other = await queue.add(dedupe_key="same"), await queue.add()
    async with queue.app.transaction() as session:
        await queries.claim(session, ("work",), "me", 30, 2)
        assert await queries.release(session, "me") == 3
    states = [(await queue.row(one)).state for one in (first, second, other)]
    assert sorted(states[:2]) == ["cancelled", "queued"]
    assert states[2] == "queued"
