"""Outages cost no attempt."""

import asyncio

import pytest

from ragstore.errors import DatabaseUnavailable, PoolExhausted, ProviderUnavailable
from ragstore.job import queries
from ragstore.job.context import JobContext, Result
from ragstore.job.outcomes import LONGEST_PAUSE, choose_pause
from tests.job.kit import Queue


def test_pauses_grow_with_the_outage_and_are_never_the_same() -> None:
    for stalled, asked, least in [(0, None, 5), (0, 0.5, 0.5), (0, 7, 7), (100, 7, 25), (1e6, 7, 300), (0, 86400, 300)]:
        pauses = {choose_pause(asked, stalled) for _ in range(200)}
        assert len(pauses) > 150
        assert least <= min(pauses) <= max(pauses) <= 1.25 * least <= 1.25 * LONGEST_PAUSE


@pytest.mark.parametrize("kind", [DatabaseUnavailable, PoolExhausted, ProviderUnavailable])
async def test_an_outage_costs_no_attempt(queue: Queue, kind: type[Exception]) -> None:
    tries: list[int] = []

    async def work(context: JobContext) -> Result:
        tries.append(context.job.attempt)
        if len(tries) < 4:
            raise kind(retry_after=0.02)  # type: ignore[call-arg]  # as all of them take
        return None

    async with queue.working(handlers={"work": work}):
        row = await queue.wait_for(await queue.add(max_attempts=2), "succeeded")
    assert (tries, row.attempts) == ([1, 1, 1, 1], 1)


async def test_a_job_that_gets_on_is_not_stalled(queue: Queue) -> None:
    """What counts is how long it has waited without getting on, not how old it is."""
    ages: list[object] = []

    async def work(context: JobContext) -> Result:
        ages.append((await queue.row(context.job.id)).stalled_at)
        if len(ages) == 2:
            await context.report(done=1, total=2)
        if len(ages) < 4:
            raise ProviderUnavailable(retry_after=0.02)
        return None

    async with queue.working(handlers={"work": work}):
        await queue.wait_for(await queue.add(), "succeeded")
    assert ages[0] is None
    assert None not in ages[1:]
    assert ages[1] != ages[2] == ages[3]


async def test_a_database_that_is_away_for_a_moment_costs_no_attempt(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outage cannot be written down at once: it is once the database is back, while the lease still holds."""
    written = queries.read_stalled
    refusals = [DatabaseUnavailable(retry_after=1), DatabaseUnavailable(retry_after=1)]

    async def fail(*given: object) -> float:
        if refusals:
            raise refusals.pop()
        return await written(*given)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(queries, "read_stalled", fail)
    tries: list[int] = []

    async def work(context: JobContext) -> Result:
        tries.append(context.job.attempt)
        if len(tries) == 1:
            raise DatabaseUnavailable(retry_after=0.02)
        await asyncio.sleep(0)
        return None

    async with queue.working(handlers={"work": work}):
        row = await queue.wait_for(await queue.add(), "succeeded")
    assert (tries, row.attempts, refusals) == ([1, 1], 1, [])
