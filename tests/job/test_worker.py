"""A worker in this process."""

import asyncio
import time

import pytest
from sqlalchemy import event

from ragstore.errors import InvalidDocument, ProviderFailed, TooManyRequests
from ragstore.job.context import Handler, JobContext, Result
from ragstore.job.outcomes import RetryLater
from ragstore.job.service import JobService
from ragstore.job.worker import IDLE_SECONDS
from tests.job.kit import Queue, leave_effect, wait_until

CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def test_a_sleeping_worker_is_woken_by_the_commit(queue: Queue) -> None:
    started: list[float] = []

    async def work(context: JobContext) -> Result:
        started.append(time.perf_counter())
        return {"of": context.payload["number"]}

    async with queue.working(handlers={"work": work}) as worker:
        await wait_until(lambda: connected(worker))
        for number in range(5):
            await asyncio.sleep(0.05)
            begun = time.perf_counter()
            job_id = await queue.add(payload={"number": number})
            row = await queue.wait_for(job_id, "succeeded")
            assert row.result == {"of": number}
            assert started[-1] - begun < 1 < IDLE_SECONDS


async def connected(worker: object) -> bool:
    return bool(worker.listener.connected)  # type: ignore[attr-defined]


async def test_an_idle_worker_asks_nothing(queue: Queue) -> None:
    asked: list[str] = []

    async def work(context: JobContext) -> Result:
        return None

    async with queue.working(handlers={"work": work}, lease=0.3) as worker:
        await wait_until(lambda: connected(worker))
        await asyncio.sleep(0.3)

        @event.listens_for(queue.app.engine.sync_engine, "before_cursor_execute")
        def note(connection: object, cursor: object, statement: str, *more: object) -> None:
            asked.append(statement)

        await asyncio.sleep(1.5)
        assert asked == []


async def test_a_delayed_job_runs_when_it_is_due(queue: Queue) -> None:
    async def work(context: JobContext) -> Result:
        return None

    async with queue.working(handlers={"work": work}):
        begun = time.monotonic()
        await queue.wait_for(await queue.add(delay=0.5), "succeeded")
        assert 0.5 <= time.monotonic() - begun < 2


async def test_a_worker_hears_again_after_its_connection_was_cut(queue: Queue) -> None:
    async def work(context: JobContext) -> Result:
        return None

    async with queue.working(handlers={"work": work}) as worker:
        await wait_until(lambda: connected(worker))
        await queue.ask(CUT)
        job_id = await queue.add()
        await queue.wait_for(job_id, "succeeded", seconds=8)
        await wait_until(lambda: connected(worker))


@pytest.mark.parametrize(
    ("error", "attempts", "state", "type_"),
    [
        (RuntimeError("the text of a document"), 2, "failed", "internal"),
        (ProviderFailed("It refused."), 2, "failed", "provider-failed"),
        (InvalidDocument("No text."), 1, "failed", "invalid-document"),
    ],
)
async def test_a_failing_job_is_tried_as_often_as_it_may_be(
    queue: Queue, error: Exception, attempts: int, state: str, type_: str
) -> None:
    async def work(context: JobContext) -> Result:
        raise error

    async with queue.working(handlers={"work": work}, retry_delay=0.02):
        row = await queue.wait_for(await queue.add(max_attempts=2), state)
    assert (row.attempts, row.error["type"]) == (attempts, f"urn:ragstore:error:{type_}")
    assert "text of a document" not in str(row.error)
    assert row.finished_at is not None


@pytest.mark.parametrize("error", [RetryLater(0.05), TooManyRequests(retry_after=0.05)])
async def test_a_busy_provider_costs_no_attempt(queue: Queue, error: Exception) -> None:
    tries: list[int] = []

    async def work(context: JobContext) -> Result:
        tries.append(context.job.attempt)
        if len(tries) < 4:
            raise error
        return None

    async with queue.working(handlers={"work": work}):
        row = await queue.wait_for(await queue.add(max_attempts=1), "succeeded")
    assert tries == [1, 1, 1, 1]
    assert (row.attempts, row.error) == (1, None)


async def test_a_cancelled_job_stops_and_leaves_nothing(queue: Queue) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def work(context: JobContext) -> Result:
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            stopped.set()
            raise
        async with context.transaction() as session:
            await leave_effect(context, session, 1)
        return None

    async with queue.working(handlers={"work": work}) as worker:
        job_id = await queue.add()
        await asyncio.wait_for(begun.wait(), 5)
        async with queue.app.transaction(queue.tenant_id) as session:
            await JobService(session, queue.tenant_id).cancel(job_id)
        await asyncio.wait_for(stopped.wait(), 1)
        await wait_until(lambda: is_idle(worker))
    assert (await queue.row(job_id)).state == "cancelled"
    assert await queue.ask("SELECT * FROM effect") == []


async def is_idle(worker: object) -> bool:
    return not worker.held  # type: ignore[attr-defined]


async def test_a_job_that_is_taken_away_is_stopped_by_the_heartbeat(queue: Queue) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def work(context: JobContext) -> Result:
        begun.set()
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()
        return None

    async with queue.working(handlers={"work": work}, lease=0.3):
        job_id = await queue.add()
        await asyncio.wait_for(begun.wait(), 5)
        await queue.ask("UPDATE job SET fence = fence + 1, worker = 'another' WHERE id = :id", id=job_id)
        await asyncio.wait_for(stopped.wait(), 2)


async def test_heartbeats_keep_a_long_job(queue: Queue) -> None:
    async def work(context: JobContext) -> Result:
        await asyncio.sleep(1.2)
        return None

    async with queue.working(handlers={"work": work}, lease=0.3), queue.working(handlers={"work": work}, lease=0.3):
        row = await queue.wait_for(await queue.add(), "succeeded")
    assert (row.attempts, row.fence) == (1, 1)


async def test_a_job_whose_handler_ended_without_a_word_is_tried_again(queue: Queue) -> None:
    """Leases are renewed for jobs that run, not for all a worker has ever claimed."""
    tries: list[int] = []

    async def work(context: JobContext) -> Result:
        tries.append(context.job.attempt)
        if len(tries) == 1:
            raise asyncio.CancelledError
        return None

    async with queue.working(handlers={"work": work}, lease=0.3):
        await queue.wait_for(await queue.add(), "succeeded")
    assert tries == [1, 2]


async def test_a_stopped_worker_lets_jobs_finish(queue: Queue) -> None:
    begun = asyncio.Event()

    async def work(context: JobContext) -> Result:
        begun.set()
        await asyncio.sleep(0.3)
        return None

    async with queue.working(handlers={"work": work}):
        job_id = await queue.add()
        await asyncio.wait_for(begun.wait(), 5)
    assert (await queue.row(job_id)).state == "succeeded"


async def test_what_does_not_finish_in_time_goes_back_at_once_with_its_attempt(queue: Queue) -> None:
    begun = asyncio.Event()

    async def work(context: JobContext) -> Result:
        begun.set()
        await asyncio.sleep(30)
        return None

    async with queue.working(patience=0.1, handlers={"work": work}):
        job_id = await queue.add()
        await asyncio.wait_for(begun.wait(), 5)
    row = await queue.row(job_id)
    assert (row.state, row.attempts, row.worker, row.lease_until) == ("queued", 0, None, None)
    async with queue.working(handlers={"work": quick}):
        assert (await queue.wait_for(job_id, "succeeded", seconds=2)).attempts == 1


async def quick(context: JobContext) -> Result:
    return None


async def test_a_worker_runs_no_more_than_it_may_and_all_in_the_end(queue: Queue) -> None:
    running = most = 0

    async def work(context: JobContext) -> Result:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        return None

    handlers: dict[str, Handler] = {"work": work}
    ids = [await queue.add() for _ in range(40)]
    async with queue.working(handlers=handlers, concurrency=3):
        for job_id in ids:
            await queue.wait_for(job_id, "succeeded")
    assert most == 3
