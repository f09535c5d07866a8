"""Deletes what is over: expired sessions, dead keys, old jobs, cached vectors nobody has asked for lately."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from ragstore.database import AsyncSession
from ragstore.document.tidying import request_vacuum
from ragstore.index.service import request_missing
from ragstore.job.context import JobContext
from ragstore.job.service import enqueue_system
from ragstore.maintenance import queries
from ragstore.settings import Settings

SWEEP = "sweep"
BATCH = 200  # rows a transaction deletes at most: nobody waits long for their locks
MOST_BATCHES = 500
MANY_ROWS = 1000


async def request_sweep(session: AsyncSession, delay: float) -> None:
    """One waits at a time, however many workers ask."""
    await enqueue_system(session, SWEEP, delay=delay, dedupe_key="sweep", max_attempts=3)


def list_sweeps(settings: Settings) -> dict[str, timedelta]:
    """How long each is kept after it was over, or made."""
    return {
        "chat_sessions": timedelta(0),
        "api_keys": timedelta(days=settings.keep_keys_days),
        "jobs": timedelta(days=settings.keep_jobs_days),
        "embedding_cache": timedelta(days=settings.keep_embedding_cache_days),
        "idempotency_records": timedelta(days=1),
        "files": timedelta(days=1),  # those that a job left behind
        "accepted_keys": timedelta(0),  # of jobs that are gone
        "import_positions": timedelta(days=7),
    }


@dataclass(frozen=True)
class SweepHandler:
    sweeps: Mapping[str, timedelta]
    interval: float
    index_threshold: int

    async def run(self, context: JobContext) -> dict[str, int]:
        """Asks for the next one first: whatever becomes of this one, there is a next. Answers how many rows of each
        are gone, and how many indexes were not as they should be.
        """
        async with context.transaction() as session:
            await request_sweep(session, self.interval)
        gone = {}
        for name, older in self.sweeps.items():
            gone[name] = await self._sweep(context, name, older)
            await context.report(done=sum(gone.values()))
        gone["indexes"] = await request_missing(context.database.database, self.index_threshold)
        async with context.transaction() as session:
            if await queries.count_untidy_rows(session) >= MANY_ROWS:
                await request_vacuum(session)
        return gone

    async def _sweep(self, context: JobContext, name: str, older: timedelta) -> int:
        gone = 0
        for _ in range(MOST_BATCHES):
            async with context.transaction() as session:
                batch = await queries.sweep(session, name, older, BATCH)
            gone += batch
            if batch < BATCH:
                break
        return gone
