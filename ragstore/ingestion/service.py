"""The write path: check, compare with what is stored, cut, embed, publish."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ragstore.collection.models import ModelsChanged
from ragstore.collection.schemas import ChunkingUpdate
from ragstore.database import TenantDatabase
from ragstore.document.accepted.service import settle_keys
from ragstore.document.publishing import DocumentVersion, Moved, Published, Publisher, RecordChange
from ragstore.document.tidying import request_tidying
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import Conflict, Unavailable
from ragstore.failpoints import Failpoint, failpoint
from ragstore.idempotency.service import Recorder
from ragstore.ingestion.origins import Origin
from ragstore.ingestion.planning import Candidate, Plan, make_plan
from ragstore.ingestion.preparing import Prepared, prepare
from ragstore.ingestion.results import list_results, refuse_document, refuse_none_stored
from ragstore.ingestion.schemas import UpsertResults
from ragstore.ingestion.validation import Checked, check_documents
from ragstore.sqlstate import is_deadlock

MOST_TRIES = 3
MOST_PLANS = 10


@dataclass(frozen=True)
class IngestionService:
    """Raises NotFound for an unknown collection and what the model provider raises; nothing is stored then. The
    recorder's answer is part of what is stored.
    """

    database: TenantDatabase
    embedders: EmbedderRegistry
    recorder: Recorder = field(default_factory=Recorder)
    index_threshold: int | None = None
    job_id: uuid.UUID | None = None  # that has accepted the documents: what has become of their keys since stays

    async def upsert(
        self,
        collection: str | uuid.UUID,
        documents: Sequence[object],
        *,
        chunking: ChunkingUpdate | None = None,
        origins: Mapping[int, Origin] | None = None,
    ) -> UpsertResults:
        """As `upsert_each`, but raises InvalidDocument or ProviderRefused when not one of them could be stored."""
        answer = await self.upsert_each(collection, documents, chunking=chunking, origins=origins)
        refuse_none_stored(answer.results)
        return answer

    async def upsert_each(
        self,
        collection: str | uuid.UUID,
        documents: Sequence[object],
        *,
        chunking: ChunkingUpdate | None = None,
        origins: Mapping[int, Origin] | None = None,
    ) -> UpsertResults:
        """Each document a DocumentUpsert or its JSON. Searchable, all of them together, when this returns; a bad
        document, or one with a passage that the provider refuses, is `failed`. Where all are, nothing is recorded.

        `chunking` changes the collection's rule for these documents; `origins[i]` says which file document i was read
        from. A document without one stands on no file, whatever it did before. An id in place of the collection's name
        is right whatever it is called.
        """
        checked = await asyncio.to_thread(check_documents, documents)
        good = {index: one for index, one in enumerate(checked) if one.document is not None}
        if not good:
            return UpsertResults([refuse_document(one) for one in checked])
        failpoint(Failpoint.VALIDATED)
        for tries in range(MOST_PLANS):
            plan = await make_plan(self.database, collection, good, chunking, origins or {}, self.embedders)
            try:
                return await self._carry_out(plan, checked, keep=tries < MOST_TRIES - 1)
            except (Moved, ModelsChanged):
                continue
        raise Conflict("The document is being changed by others; try again.", retry_after=1)

    async def _carry_out(self, plan: Plan, checked: Sequence[Checked], *, keep: bool) -> UpsertResults:
        fresh = [one for one in plan.candidates if not one.same_content]
        prepared = await prepare(self.database, self.embedders, plan.handle, fresh, keep=keep)
        if len(prepared.refused) == len(plan.candidates):
            return list_results(checked, plan, prepared.refused, {})
        failpoint(Failpoint.EMBEDDED)
        for again in range(MOST_TRIES):
            try:
                return await self._publish(plan, checked, prepared)
            except Unavailable as error:
                if again == MOST_TRIES - 1 or not is_deadlock(error):
                    raise
        raise AssertionError("unreachable")

    async def _publish(self, plan: Plan, checked: Sequence[Checked], prepared: Prepared) -> UpsertResults:
        """Two writers of the same new documents, who change records of old ones too, may each hold what the other
        waits for: Postgres ends one of them, and it comes again with what it has embedded.
        """
        handle, refused = plan.handle, prepared.refused
        async with self.database.transaction() as session:
            publisher = Publisher(session, self.database.tenant_id, handle, self.index_threshold)
            if prepared.versions:
                await publisher.hold()  # before any lock of a document
            keys = [one.document.key for one in plan.candidates if one.document.key is not None]
            await settle_keys(session, self.database.tenant_id, handle.id, keys, self.job_id)
            published = await publish(
                publisher, [one for one in plan.candidates if one.index not in refused], prepared.versions
            )
            answer = list_results(checked, plan, refused, published)
            await self.recorder.answer(session, answer)
            if prepared.versions:
                await request_tidying(session, self.database.tenant_id, handle.id)
        return answer


async def publish(
    publisher: Publisher, candidates: Sequence[Candidate], versions: Sequence[DocumentVersion]
) -> dict[str, Published]:
    """By key. Raises Moved when a document is no longer the one that was planned for."""
    changed = [one for one in candidates if one.status != "unchanged"]
    if not changed:
        return {}
    # Storing documents locks them in the order of their keys by itself. First those that exist, then the others, is a
    # second order, in which writers that insert and replace can wait for each other.
    if any(one.same_content for one in changed):
        await publisher.lock([one.key for one in changed])
    keys = {one.stored.id: one.key for one in changed if one.stored is not None and one.same_content}
    records = await publisher.replace_records(
        [
            RecordChange(one.stored, one.fields, one.record_digest)
            for one in changed
            if one.stored is not None and one.same_content
        ]
    )
    return {keys[document_id]: one for document_id, one in records.items()} | await publisher.replace(versions)
