"""What a handler is given: its job, and a database whose every transaction proves that the job is still its own."""

import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from ragstore.database import AsyncSession, Plan, TenantDatabase
from ragstore.errors import RagstoreError
from ragstore.failpoints import Failpoint, failpoint
from ragstore.job import queries
from ragstore.job.outcomes import LeaseLost, describe_error

Result = Mapping[str, Any] | None


@dataclass(frozen=True)
class ClaimedJob:
    """`attempt` is 1 the first time. `fence` is this claim's: every later one has a greater."""

    tenant_id: uuid.UUID
    id: uuid.UUID
    kind: str
    payload: dict[str, Any]
    attempt: int
    max_attempts: int
    fence: int

    @property
    def key(self) -> tuple[uuid.UUID, uuid.UUID, int]:
        return self.tenant_id, self.id, self.fence


@dataclass(frozen=True)
class FencedDatabase(TenantDatabase):
    """The tenant's database for one claim of one job: services work on it as they do for a request.

    Each transaction holds the job's row until it ends, so nobody can claim, cancel or finish the job in between.
    It raises LeaseLost when somebody has already.
    """

    job: ClaimedJob
    lease: float
    patience: float  # seconds it waits for a connection

    @asynccontextmanager
    async def transaction(
        self, *, plan: Plan = "cached", snapshot: bool = False, options: Mapping[str, int | str] | None = None
    ) -> AsyncIterator[AsyncSession]:
        async with self.database.transaction(
            self.tenant_id, wait=self.patience, plan=plan, snapshot=snapshot, options=options
        ) as session:
            if not await queries.hold(session, *self.job.key):
                raise LeaseLost
            began = time.monotonic()
            yield session
            if time.monotonic() - began > self.lease / 3:  # heartbeats passed the locked row over
                await queries.extend(session, *self.job.key, self.lease)

    def alone(self) -> AbstractAsyncContextManager[AsyncSession]:
        """For a single statement that checks the fence by itself."""
        return self.database.transaction(self.tenant_id, wait=self.patience)


@dataclass
class JobContext:
    job: ClaimedJob
    database: FencedDatabase
    settled: bool = False

    @property
    def payload(self) -> dict[str, Any]:
        return self.job.payload

    def transaction(self, *, plan: Plan = "cached") -> AbstractAsyncContextManager[AsyncSession]:
        """Not inside another one of the same job, nor beside: the second waits for the first."""
        return self.database.transaction(plan=plan)

    async def finish(self, session: AsyncSession, result: Result = None) -> None:
        """Success, in the transaction of the effects: both are committed or neither. The handler then returns."""
        kept = None if result is None else dict(result)
        if not await queries.end(session, *self.job.key, "succeeded", result=kept):
            raise LeaseLost
        failpoint(Failpoint.JOB_ENDED)
        self.settled = True

    async def call_off(self, session: AsyncSession, error: RagstoreError) -> None:
        """What the job works on is gone: it ends as cancelled, in this transaction. The handler then returns."""
        if not await queries.end(session, *self.job.key, "cancelled", error=describe_error(error)):
            raise LeaseLost
        self.settled = True

    async def report(
        self,
        *,
        done: int | None = None,
        total: int | None = None,
        failures: int | None = None,
        message: str | None = None,
        counts: Mapping[str, int] | None = None,
        result: Result = None,
        session: AsyncSession | None = None,
    ) -> None:
        """Progress that others can see: with the commit of `session`, or at once. Between transactions only. `counts`
        are further ones; `result` is what there is of it so far, and stays if the job fails or is cancelled.
        """
        given = {"done": done, "total": total, "failures": failures, **(counts or {})}
        known = {name: value for name, value in given.items() if value is not None}
        kept = None if result is None else dict(result)
        async with self.database.alone() if session is None else nullcontext(session) as own:
            if not await queries.report(own, *self.job.key, known, message, kept):
                raise LeaseLost


Handler = Callable[[JobContext], Awaitable[Result]]
