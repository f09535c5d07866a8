"""What need not be embedded: passages of the version that is replaced, and vectors that were paid for before."""

import uuid
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from ragstore.collection.service import CollectionHandle
from ragstore.database import AsyncSession, TenantDatabase
from ragstore.document.cache.service import VectorCache
from ragstore.document.passages.service import PassageService, StoredPassage
from ragstore.ingestion.drafts import Draft


async def reuse(
    database: TenantDatabase, handle: CollectionHandle, drafts: Sequence[Draft], *, keep: bool, paid: bool
) -> None:
    """One short transaction. `keep`: passages may stay where they are stored. `paid`: vectors cost more to make than
    to read.
    """
    replaced = {one.candidate.stored.id for one in drafts if one.candidate.stored is not None}
    if not replaced and not (paid and any(one.is_open for one in drafts)):
        return
    async with database.transaction() as session:
        passages = PassageService(session, database.tenant_id, handle.model_id)
        stored = await passages.list(list(replaced)) if replaced else []
        if keep:
            keep_unchanged(drafts, stored)
        if paid:
            await read_vectors(session, passages, drafts, stored)


def keep_unchanged(drafts: Iterable[Draft], stored: Iterable[StoredPassage]) -> None:
    """Each stored passage once, in the order of the document."""
    known: dict[tuple[uuid.UUID, bytes, int], deque[StoredPassage]] = defaultdict(deque)
    for passage in stored:
        known[passage.document_id, passage.digest, passage.end - passage.start].append(passage)
    for one in drafts:
        if one.candidate.stored is not None:
            found = known.get((one.candidate.stored.id, one.digest, one.passage.end - one.passage.start))
            if found:
                one.kept = found.popleft()


async def read_vectors(
    session: AsyncSession, passages: PassageService, drafts: Sequence[Draft], stored: Sequence[StoredPassage]
) -> None:
    """Of what is stored first, then from the cache."""
    open_digests = {one.digest for one in drafts if one.is_open}
    ids = {one.digest: one.id for one in stored if one.digest in open_digests}
    found = await passages.read_vectors(list(ids.values())) if ids else {}
    if missing := open_digests - found.keys():
        found |= await VectorCache(session, passages.tenant_id, passages.model_id).find(list(missing))
    for one in drafts:
        if one.is_open:
            one.vector = found.get(one.digest)
