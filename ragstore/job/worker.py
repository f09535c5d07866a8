"""Claims jobs and runs them, a few at a time, beside whatever else the process does."""

import asyncio
import contextlib
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from ragstore.database import Database
from ragstore.errors import RagstoreError
from ragstore.failpoints import Failpoint, failpoint
from ragstore.job import queries
from ragstore.job.context import ClaimedJob, FencedDatabase, Handler, JobContext
from ragstore.job.execution import execute
from ragstore.job.listener import Listener
from ragstore.job.outcomes import RetryPolicy

IDLE_SECONDS = 30.0  # asks so seldom when nothing happens and it would be told
DEAF_SECONDS = 2.0  # … and so often while it would not be
TAKEN_SECONDS = 0.1  # something is due that others hold at this moment
TROUBLE_SECONDS = 2.0
CANCEL_SECONDS = 2.0  # a cancelled handler gets so long to clean up

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class WorkerOptions:
    concurrency: int = 4
    lease: float = 30.0
    retry_delay: float = 2.0
    patience: float = 30.0  # seconds it waits for a connection
    outage_patience: float = RetryPolicy.patience

    @property
    def policy(self) -> RetryPolicy:
        return RetryPolicy(self.retry_delay, self.outage_patience)


@dataclass(frozen=True)
class Held:
    context: JobContext
    task: asyncio.Task[None]


@dataclass
class Worker:
    """Jobs of kinds that `handlers` does not name are left to others. Once `stopping` is set it claims no more."""

    database: Database
    listener: Listener
    handlers: Mapping[str, Handler]
    options: WorkerOptions = WorkerOptions()
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    held: dict[uuid.UUID, Held] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        self.listener.hear = self.hear
        self.listener.start()
        runs = {"claim jobs": self._claim_forever(), "renew leases": self._renew_forever(), "stop": self._note_stop()}
        self._tasks = [asyncio.create_task(run, name=name) for name, run in runs.items()]

    async def stop(self, patience: float) -> None:
        """Running jobs get `patience` seconds to finish; the rest go back into the queue at once, as if not begun."""
        self.stopping.set()
        self.wake.set()
        await finish_tasks([one.task for one in self.held.values()], patience)
        await finish_tasks([one for one in self._tasks if one.get_name() == "claim jobs"], CANCEL_SECONDS)
        await finish_tasks([one.task for one in self.held.values()], 0)  # claimed while it was told to stop
        await finish_tasks(self._tasks, 0)
        with contextlib.suppress(RagstoreError):  # their leases run out
            async with self.database.transaction(wait=CANCEL_SECONDS) as session:
                await queries.release(session, self.name)
        await self.listener.stop()

    def hear(self, notice: str) -> None:
        match notice.split():
            case ["cancel", job_id, fence]:
                one = self.held.get(uuid.UUID(job_id))
                if one is not None and one.context.job.fence == int(fence):
                    one.task.cancel()
            case _:
                self.wake.set()

    async def _note_stop(self) -> None:
        await self.stopping.wait()
        self.wake.set()

    async def _claim_forever(self) -> None:
        while not self.stopping.is_set():
            self.wake.clear()
            try:
                seconds = await self._fill()
            except RagstoreError as error:
                log.warning("no jobs claimed", error=type(error).__name__)
                seconds = TROUBLE_SECONDS
            except Exception:  # a fault of ours, perhaps: the queue is too important to stop for it
                log.exception("no jobs claimed")
                seconds = TROUBLE_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), spread(seconds))

    async def _fill(self) -> float:
        """Start as many jobs as there is room for; answers how long to sleep if nobody wakes us."""
        room = self.options.concurrency - len(self.held)
        if room <= 0:
            return IDLE_SECONDS
        kinds = list(self.handlers)
        async with self.database.transaction(wait=self.options.patience) as session:
            rows = await queries.claim(session, kinds, self.name, self.options.lease, room)
            due = await queries.seconds_until_next(session, kinds) if len(rows) < room else None
        for row in rows:
            failpoint(Failpoint.JOB_CLAIMED)
            self._begin(ClaimedJob(*tuple(row)))
        if len(rows) == room:  # there may be more, and jobs may have ended while we asked
            return IDLE_SECONDS if len(self.held) >= self.options.concurrency else 0
        longest = IDLE_SECONDS if self.listener.connected else DEAF_SECONDS
        return longest if due is None else min(max(due, TAKEN_SECONDS), longest)

    def _begin(self, job: ClaimedJob) -> None:
        options = self.options
        fenced = FencedDatabase(self.database, job.tenant_id, job, options.lease, options.patience)
        context = JobContext(job, fenced)
        task = asyncio.create_task(execute(self.handlers[job.kind], context, options.policy), name=f"job {job.id}")
        one = Held(context, task)
        if (earlier := self.held.get(job.id)) is not None:
            earlier.task.cancel()  # this very process had lost it
        self.held[job.id] = one
        task.add_done_callback(lambda _: self._forget(one))

    def _forget(self, one: Held) -> None:
        if len(self.held) >= self.options.concurrency:
            self.wake.set()  # there was no room to ask for more
        if self.held.get(one.context.job.id) is one:
            del self.held[one.context.job.id]
        if not one.task.cancelled() and (error := one.task.exception()) is not None:
            log.error("job broke its worker", job=str(one.context.job.id), exc_info=error)

    async def _renew_forever(self) -> None:
        """A handler that blocks the event loop for longer than the lease keeps this from running: it loses its job."""
        while True:
            await asyncio.sleep(self.options.lease / 3)
            if self.held:
                try:
                    await self._renew(dict(self.held))
                except RagstoreError as error:
                    log.warning("leases not renewed", error=type(error).__name__)
                except Exception:
                    log.exception("leases not renewed")

    async def _renew(self, known: Mapping[uuid.UUID, Held]) -> None:
        lease = self.options.lease
        async with self.database.transaction(wait=lease / 3) as session:
            mine = await queries.renew(session, self.name, list(known), lease)
        for job_id, one in known.items():
            if mine.get(job_id) != one.context.job.fence and not one.context.settled:
                one.task.cancel()


def spread(seconds: float) -> float:
    """A little later, so that a hundred idle workers do not ask in the same instant."""
    return seconds + random.uniform(0, min(seconds / 10, 0.2))  # noqa: S311  # guards nothing


async def finish_tasks(tasks: list[asyncio.Task[None]], patience: float) -> None:
    """Wait, then cancel."""
    waiting = [one for one in tasks if not one.done()]
    if waiting and patience > 0:
        await asyncio.wait(waiting, timeout=patience)
    for one in waiting:
        one.cancel()
    if waiting:
        await asyncio.wait(waiting, timeout=CANCEL_SECONDS)
