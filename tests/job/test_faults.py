"""Real processes, really killed. What is counted are effects in the database, not words of the workers."""

import asyncio
import itertools
import os
import random
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.job.kit import Queue, wait_until
from tests.job.process import FAILPOINTS, HANDLERS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
ROOT = Path(__file__).parents[2]
LEASE = 0.6


async def start(queue: Queue, *, concurrency: int = 1, failpoint: str = "", lease: float = LEASE) -> Process:
    command = ("-m", "tests.job.process", queue.url, str(lease), str(concurrency), failpoint)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, env={**os.environ, "PYTHONPATH": path}, cwd=ROOT, stdout=PIPE, stderr=PIPE
    )


@asynccontextmanager
async def process(queue: Queue, **values: object) -> AsyncIterator[Process]:
    one = await start(queue, **values)  # type: ignore[arg-type]
    try:
        yield one
    finally:
        if one.returncode is None:
            one.kill()
        await one.communicate()


async def list_effects(queue: Queue, job_id: object) -> list[int]:
    return [row.step for row in await queue.ask("SELECT step FROM effect WHERE job = :id ORDER BY step", id=job_id)]


@pytest.mark.parametrize("failpoint", FAILPOINTS)
async def test_a_worker_killed_at_any_step_loses_nothing_and_repeats_nothing(queue: Queue, failpoint: str) -> None:
    kind = "plain" if failpoint == "finishing" else "work"
    job_id = await queue.add(kind)
    async with process(queue, failpoint=failpoint) as killed:
        await asyncio.wait_for(killed.wait(), 20)
        assert killed.returncode == -signal.SIGKILL
    begun = time.monotonic()
    async with queue.working(handlers=HANDLERS, lease=LEASE):
        row = await queue.wait_for(job_id, "succeeded")
    assert time.monotonic() - begun < 2 * LEASE + 5
    assert await list_effects(queue, job_id) == ([1] if kind == "plain" else [1, 2])
    assert row.attempts == (1 if failpoint == "after commit" else 2)


async def test_a_worker_that_was_stopped_past_its_lease_cannot_commit(queue: Queue, tmp_path: Path) -> None:
    go = tmp_path / "go"
    job_id = await queue.add("freeze", {"go": str(go)})
    async with process(queue) as frozen:
        assert frozen.stdout is not None
        assert await asyncio.wait_for(frozen.stdout.readline(), 20) == b"begun\n"
        frozen.send_signal(signal.SIGSTOP)
        async with queue.working(handlers=HANDLERS, lease=LEASE):
            await queue.wait_for(job_id, "succeeded")
        go.touch()
        frozen.send_signal(signal.SIGCONT)
        await asyncio.sleep(0.3)
        frozen.terminate()
        await asyncio.wait_for(frozen.wait(), 10)
        assert frozen.returncode == 0
        assert frozen.stdout is not None
        assert b"rejected" in await frozen.stdout.read()
    assert await list_effects(queue, job_id) == [1]
    assert (await queue.row(job_id)).attempts == 2


async def test_a_job_that_kills_its_worker_each_time_is_given_up(queue: Queue) -> None:
    job_id = await queue.add("poison", max_attempts=2)
    for _ in range(2):
        async with process(queue, lease=0.3) as killed:
            await asyncio.wait_for(killed.wait(), 20)
    async with queue.working(handlers=HANDLERS, lease=0.3):
        row = await queue.wait_for(job_id, "failed")
    assert (row.attempts, row.error["type"]) == (2, "urn:ragstore:error:worker-lost")
    assert await list_effects(queue, job_id) == [0, 0]


async def test_a_worker_told_to_end_gives_its_jobs_back(queue: Queue) -> None:
    job_id = await queue.add("work", {"seconds": 0.5})
    async with process(queue) as told:
        await queue.wait_for(job_id, "running", seconds=20)
        told.terminate()
        await asyncio.wait_for(told.wait(), 10)
        assert told.returncode == 0
    assert (await queue.row(job_id)).state == "succeeded"


async def test_two_hundred_jobs_on_four_workers_that_are_killed_at_random(queue: Queue) -> None:
    seed = int(os.environ.get("RAGSTORE_TEST_SEED", random.randrange(10**6)))
    dice = random.Random(seed)
    jobs = [await queue.add("logged", {"seconds": 0.02}, max_attempts=50) for _ in range(200)]
    workers = [await start(queue, concurrency=2) for _ in range(4)]
    kills: list[float] = []

    async def all_ended() -> bool:
        return not await queue.ask("SELECT 1 FROM job WHERE state IN ('queued', 'running') LIMIT 1")

    try:
        await wait_until(lambda: begun(queue), 20)
        for _ in range(6):
            await asyncio.sleep(dice.uniform(0.1, 0.5))
            number = dice.randrange(4)
            kills.append((await queue.ask("SELECT extract(epoch FROM clock_timestamp()) AS at"))[0].at)
            workers[number].kill()
            await workers[number].communicate()
            workers[number] = await start(queue, concurrency=2)
        await wait_until(all_ended, 40)
    finally:
        for one in workers:
            one.kill()
            await one.communicate()
    states = await queue.ask("SELECT state, count(*) AS jobs FROM job WHERE kind = 'logged' GROUP BY 1")
    assert [tuple(row) for row in states] == [("succeeded", 200)]
    twice = await queue.ask("SELECT job, step FROM effect WHERE step > 0 GROUP BY 1, 2 HAVING count(*) > 1")
    assert twice == []
    assert len(await queue.ask("SELECT 1 FROM effect WHERE step > 0")) == 2 * len(jobs)
    worst = await find_worst_resume(queue, kills)
    assert worst is None or worst < 2 * LEASE + 10, f"seed {seed}: {worst} s"


async def begun(queue: Queue) -> bool:
    return bool(await queue.ask("SELECT 1 FROM effect LIMIT 1"))


async def find_worst_resume(queue: Queue, kills: list[float]) -> float | None:
    """Seconds from a kill to the next start of a job that it interrupted."""
    rows = await queue.ask("SELECT job, extract(epoch FROM at) AS at FROM effect WHERE step = -1 ORDER BY job, at")
    worst = None
    for earlier, later in itertools.pairwise(rows):
        between = [kill for kill in kills if earlier.at <= kill <= later.at]
        if earlier.job == later.job and between:
            worst = max(worst or 0.0, float(later.at - between[0]))
    return worst
