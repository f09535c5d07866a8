"""A worker as a process that can be killed: `python -m tests.job.process URL LEASE CONCURRENCY [FAILPOINT]`.

At its failpoint it dies as SIGKILL lets it die, in the middle of whatever it does.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from sqlalchemy import text

from ragstore.job import queries
from ragstore.job.context import Handler, JobContext, Result
from ragstore.job.listener import Listener
from ragstore.job.outcomes import LeaseLost
from ragstore.job.worker import Worker, WorkerOptions
from tests.job.kit import connect, count_effects, leave_effect

FAILPOINTS = ("claimed", "half done", "before commit", "finishing", "after commit")
armed = ""


def failpoint(name: str) -> None:
    if name == armed:
        os.kill(os.getpid(), signal.SIGKILL)


async def work(context: JobContext) -> Result:
    """Two effects in two transactions, the second with the success; what is there already is not done again."""
    failpoint("claimed")
    async with context.transaction() as session:
        if not await count_effects(context, session, 1):
            await leave_effect(context, session, 1)
    failpoint("half done")
    await asyncio.sleep(context.payload.get("seconds", 0))
    async with context.transaction() as session:
        await leave_effect(context, session, 2)
        await context.finish(session)
        failpoint("before commit")
    failpoint("after commit")
    return None


async def plain(context: JobContext) -> Result:
    """One effect that checks for itself; the worker writes the success."""
    async with context.transaction() as session:
        if not await count_effects(context, session, 1):
            await leave_effect(context, session, 1)
    return None


async def poison(context: JobContext) -> Result:
    async with context.transaction() as session:
        await leave_effect(context, session, 0)  # each attempt is one
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def wait_for_file(path: Path) -> None:
    while not path.exists():
        time.sleep(0.02)


async def freeze(context: JobContext) -> Result:
    """Sleeps without the event loop until a file appears, as a process would that was stopped: then it wants to
    commit what is somebody else's by now.
    """
    if context.job.attempt == 1:
        say("begun")
        wait_for_file(Path(context.payload["go"]))
    await asyncio.shield(commit_late(context))  # a heartbeat would cancel it; here the fence alone has to do
    return None


async def commit_late(context: JobContext) -> None:
    try:
        async with context.transaction() as session:
            await leave_effect(context, session, 1)
            await context.finish(session)
    except LeaseLost:
        say("rejected")


async def log_start(context: JobContext) -> None:
    async with context.transaction() as session:
        connection = await session.connection()
        given = {"job": context.job.id, "attempt": context.job.attempt}
        await connection.execute(text("INSERT INTO effect VALUES (:job, -1, :attempt)"), given)


async def logged(context: JobContext) -> Result:
    await log_start(context)
    return await work(context)


HANDLERS: dict[str, Handler] = {"work": work, "plain": plain, "poison": poison, "freeze": freeze, "logged": logged}


async def main(url: str, lease: str, concurrency: str, name: str = "") -> None:
    global armed
    armed = name
    end = queries.end

    async def end_and_fail(*given: object, **values: object) -> bool:
        done: bool = await end(*given, **values)  # type: ignore[arg-type]
        failpoint("finishing")
        return done

    queries.end = end_and_fail
    options = WorkerOptions(int(concurrency), float(lease), retry_delay=0.05)
    worker = Worker(connect(url), Listener(connect(url)), HANDLERS, options)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, worker.stopping.set)
    worker.start()
    await worker.stopping.wait()
    await worker.stop(5)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
