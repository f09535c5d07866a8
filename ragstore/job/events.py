"""A job as it changes, for whoever watches."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ragstore.database import TenantDatabase
from ragstore.errors import NotFound, Unavailable
from ragstore.job.schemas import JobRead
from ragstore.job.service import JobService

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
QUIET_SECONDS = 15.0


@dataclass(frozen=True)
class JobWatch:
    """Looks again and again in transactions of their own: no connection is held while somebody watches."""

    database: TenantDatabase
    stopping: asyncio.Event

    async def follow(self, job: JobRead) -> AsyncIterator[JobRead | None]:
        """`job`, then each change until it has ended; None after 15 s without one. Stops when the service does."""
        yield job
        pause, told = FIRST_PAUSE, time.monotonic()
        while not job.ended and not self.stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), pause)
            found = await self._look(job)
            if found is None:
                return
            pause = FIRST_PAUSE if found != job else min(pause * 1.5, LONGEST_PAUSE)
            if found != job or time.monotonic() - told > QUIET_SECONDS:
                yield found if found != job else None
                job, told = found, time.monotonic()

    async def read(self, job_id: uuid.UUID) -> JobRead:
        async with self.database.transaction() as session:
            return await JobService(session, self.database.tenant_id).read(job_id)

    async def _look(self, job: JobRead) -> JobRead | None:
        try:
            return await self.read(job.id)
        except Unavailable:
            return job  # nothing new, then
        except NotFound:
            return None
