"""The index of a collection's codes as its tenant sees it, and who is asked to build what is missing."""

import uuid
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Row

from ragstore.collection.indexing import is_wanted, request_index
from ragstore.collection.service import CollectionService, IndexChoice
from ragstore.database import AsyncSession, Database
from ragstore.index import queries
from ragstore.index.queries import FoundIndex, IndexKey
from ragstore.index.schemas import BuildProgress, IndexRead, IndexState, Mode


@dataclass(frozen=True)
class IndexService:
    """Raises NotFound for a collection the tenant does not have."""

    session: AsyncSession
    tenant_id: uuid.UUID
    threshold: int

    async def read(self, collection: str) -> IndexRead:
        chosen = await CollectionService(self.session, self.tenant_id).read_index_choice(collection)
        key = IndexKey(self.tenant_id, chosen.collection_id, chosen.model_id)
        found = await queries.find_index(self.session, key.name)
        job = await queries.find_live_job(self.session, self.tenant_id, chosen.collection_id, chosen.model_id)
        state = name_state(found, job.state if job else None, wanted=self._wants(chosen, found))
        return IndexRead(
            mode=cast(Mode, chosen.mode),
            state=state,
            threshold=self.threshold,
            chunks=chosen.chunks,
            name=key.name if found else None,
            bytes=found.bytes if found else None,
            progress=to_progress(job) if job and state == "building" else None,
            job_id=job.id if job else None,
        )

    async def set_mode(self, collection: str, mode: Mode) -> IndexRead:
        """What the mode asks for begins when the caller has committed."""
        chosen = await CollectionService(self.session, self.tenant_id).choose_index(collection, mode)
        key = IndexKey(self.tenant_id, chosen.collection_id, chosen.model_id)
        found = await queries.find_index(self.session, key.name)
        if found is None or not found.valid:
            due = self._wants(chosen, found) or found is not None
        else:
            due = not self._wants(chosen, found)
        if due:
            await request_index(self.session, self.tenant_id, chosen.collection_id, chosen.model_id)
        return await self.read(collection)

    def _wants(self, chosen: IndexChoice, found: FoundIndex | None) -> bool:
        return is_wanted(chosen.mode, chosen.chunks, self.threshold, present=found is not None)


def name_state(found: FoundIndex | None, job: str | None, *, wanted: bool) -> IndexState:
    """`job` is the state of the live one."""
    if found is not None and found.valid:
        return "ready"
    if wanted and job is not None:
        return "building" if job == "running" else "waiting"
    return "none" if found is None else "invalid"


def to_progress(job: Row[Any]) -> BuildProgress | None:
    if job.message is None:
        return None
    return BuildProgress(job.message, job.counts.get("done", 0), job.counts.get("total", 0))


async def request_missing(database: Database, threshold: int) -> int:
    """A job for each index of any tenant that is not as it should be; answers how many."""
    async with database.transaction() as session:
        work = await queries.list_work(session, threshold)
    for key in work:
        async with database.transaction(key.tenant_id) as session:
            await request_index(session, key.tenant_id, key.collection_id, key.model_id)
    return len(work)
