"""Asks for what keeps searching fast after rows were written or deleted; `maintenance/` does it.

Vacuum and the building and dropping of indexes wait for each other on the table's lock, and a build that itself waits
for older transactions would then be the victim of the deadlock. So each of them holds UPKEEP_LOCK, an advisory lock of
the session, and who does not get it comes again later.
"""

from ragstore.database import AsyncSession
from ragstore.job.service import enqueue_system

VACUUM = "vacuum"
QUIET_SECONDS = 1.0
UPKEEP_LOCK = 0x72616773_656D6264  # any number that nobody else takes


async def request_vacuum(session: AsyncSession) -> None:
    """Once for all that is written in the next second. Call last before the commit."""
    await enqueue_system(session, VACUUM, delay=QUIET_SECONDS, dedupe_key="embedding", max_attempts=3)
