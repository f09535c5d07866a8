"""Asks for what keeps searching fast after rows were written or deleted: a vacuum, and the counts of terms folded.

Vacuum and the building and dropping of indexes wait for each other on the table's lock, and a build that itself waits
for older transactions would then be the victim of the deadlock. So each of them holds UPKEEP_LOCK, an advisory lock of
the session, and who does not get it comes again later.
"""

import uuid
from dataclasses import dataclass

from ragstore.database import AsyncSession
from ragstore.document.terms.queries import fold_term_changes
from ragstore.job.context import JobContext
from ragstore.job.service import enqueue_system

VACUUM = "vacuum"
FOLD_TERMS = "fold_terms"
QUIET_SECONDS = 1.0
UPKEEP_LOCK = 0x72616773_656D6264  # any number that nobody else takes


async def request_tidying(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID) -> None:
    """Once for all that is written in the next second. Call last before the commit."""
    await request_vacuum(session)
    await enqueue_system(
        session,
        FOLD_TERMS,
        {"tenant_id": str(tenant_id), "collection_id": str(collection_id)},
        delay=QUIET_SECONDS,
        dedupe_key=str(collection_id),
        max_attempts=3,
    )


async def request_vacuum(session: AsyncSession) -> None:
    await enqueue_system(session, VACUUM, delay=QUIET_SECONDS, dedupe_key="embedding", max_attempts=3)


@dataclass(frozen=True)
class FoldTermsHandler:
    """A search reads the changes that wait too, so the counts are right before and after."""

    async def run(self, context: JobContext) -> dict[str, int]:
        tenant_id, collection_id = (uuid.UUID(context.payload[name]) for name in ("tenant_id", "collection_id"))
        # The job is the system's, the counts are a tenant's. Without the fence: folding twice changes nothing.
        database = context.database.database
        async with database.transaction(tenant_id, wait=context.database.patience) as session:
            folded = await fold_term_changes(session, tenant_id, collection_id)
        return {"transactions": folded}
