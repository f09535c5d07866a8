"""Who has the last word on a key: of all that was asked for it, what was asked last.

A document that is accepted for later leaves its key here, with its job. The key is taken away by whoever accepts it
again, and by whoever stores or deletes the document at once. The job stores what it finds still its own, and nothing
else: no matter when it runs, how often, and beside which other jobs.
"""

import uuid
from collections.abc import Sequence

from ragstore.database import AsyncSession
from ragstore.document.accepted import queries


class Superseded(Exception):
    """Something newer than this job has become of one of its keys: what it was about to store is not to be stored."""


async def settle_keys(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    collection_id: uuid.UUID,
    keys: Sequence[str],
    job_id: uuid.UUID | None,
) -> None:
    """Call in the transaction that stores or deletes the documents of these keys, before it touches them.

    `job_id` is the job that has promised them. Raises Superseded when not all of them are its own any more.
    """
    if not keys:
        return
    taken = await queries.take(session, tenant_id, collection_id, keys, job_id)
    if job_id is not None and taken != set(keys):
        raise Superseded
