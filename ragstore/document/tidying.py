"""Asks for what keeps searching fast after rows were written or deleted; `maintenance/` does it."""

from ragstore.database import AsyncSession
from ragstore.job.service import enqueue_system

VACUUM = "vacuum"
QUIET_SECONDS = 1.0


async def request_vacuum(session: AsyncSession) -> None:
    """Once for all that is written in the next second. Call last before the commit."""
    await enqueue_system(session, VACUUM, delay=QUIET_SECONDS, dedupe_key="embedding", max_attempts=3)
