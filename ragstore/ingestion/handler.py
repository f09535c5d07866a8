"""The job that stores accepted documents: batch by batch, each with the note of how far it is in the same commit."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

import msgspec

from ragstore.collection.queries import find_collection_by_id
from ragstore.collection.schemas import ChunkingUpdate
from ragstore.collection.service import CollectionService
from ragstore.database import AsyncSession
from ragstore.document.accepted import queries as accepted
from ragstore.document.accepted.service import Superseded
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import Conflict, NotFound, RagstoreError
from ragstore.failpoints import Failpoint, failpoint
from ragstore.file.service import FileService
from ragstore.idempotency.service import Recorder
from ragstore.ingestion.lines import Line, count_lines, read_batches
from ragstore.ingestion.schemas import DocumentResult, UpsertResults
from ragstore.ingestion.service import IngestionService
from ragstore.ingestion.tally import Tally, read_tally
from ragstore.job.context import JobContext
from ragstore.job.service import JobService

Value = TypeVar("Value")
MOST_TRIES = 5


@dataclass(frozen=True)
class Work:
    """What the job is about, as its payload says."""

    context: JobContext
    collection_id: uuid.UUID
    file_id: uuid.UUID
    chunking: ChunkingUpdate | None
    total: int = 0

    @property
    def tenant_id(self) -> uuid.UUID:
        return self.context.job.tenant_id

    @property
    def job_id(self) -> uuid.UUID:
        return self.context.job.id


@dataclass
class Batch:
    """`mine` are the lines that are still this job's to store; `tally` is what there is when they are."""

    work: Work
    lines: Sequence[Line]
    before: Tally
    mine: Sequence[Line] = ()
    tally: Tally | None = None

    async def note(self, session: AsyncSession, results: Sequence[DocumentResult]) -> None:
        """In the transaction that stores the batch; may be called again when that was rolled back."""
        work = self.work
        self.tally = tally = self.before.add(self.mine, results, superseded=len(self.lines) - len(self.mine))
        pairs = zip(self.mine, results, strict=True)
        if failed := [line.key for line, one in pairs if one.status == "failed" and line.key is not None]:
            await accepted.take(session, work.tenant_id, work.collection_id, failed, work.job_id)
        await work.context.report(
            done=tally.done,
            total=work.total,
            failures=tally.failed,
            counts={"chunks": tally.chunks},
            message=f"{tally.done} of {work.total} documents",
            result=tally.to_json(),
            session=session,
        )
        if tally.done >= work.total:
            await FileService(session, work.tenant_id).release([work.file_id], job_id=work.job_id)
            await work.context.finish(session, tally.to_json())


@dataclass(frozen=True)
class BatchRecorder(Recorder):
    """Stands where a request's answer is stored with its effect."""

    batch: Batch = field(kw_only=True)

    async def answer(
        self, session: AsyncSession, value: Value, *, status: int | None = None, stored: object = None
    ) -> Value:
        await self.batch.note(session, cast(UpsertResults, value).results)
        return value


@dataclass(frozen=True)
class IngestHandler:
    embedders: EmbedderRegistry
    index_threshold: int | None = None

    async def run(self, context: JobContext) -> None:
        """Begins where the last attempt's last commit was. The last batch, the end of the job and of its file are one
        commit. A deleted collection ends it.
        """
        work = read_work(context)
        try:
            await self._store_all(work)
        except RagstoreError:
            async with context.transaction() as session:
                gone = await find_collection_by_id(session, work.tenant_id, work.collection_id) is None
                if gone:
                    await FileService(session, work.tenant_id).release([work.file_id], job_id=work.job_id)
                    await context.call_off(session, NotFound("The collection was deleted."))
            if not gone:
                raise

    async def _store_all(self, work: Work) -> None:
        async with work.context.transaction() as session:
            await CollectionService(session, work.tenant_id).open_by_id(work.collection_id)  # or there is no point
            row = await JobService(session, work.tenant_id).read(work.job_id)
            content = (await FileService(session, work.tenant_id).read_content(work.file_id)).content
        failpoint(Failpoint.JOB_READ)
        tally = read_tally(row.result)
        work = replace(work, total=await asyncio.to_thread(count_lines, content))
        batches = read_batches(content, tally.done)
        while lines := await asyncio.to_thread(next, batches, None):
            tally = await self._store(Batch(work, lines, tally))
            failpoint(Failpoint.JOB_BATCH_STORED)

    async def _store(self, batch: Batch) -> Tally:
        for _ in range(MOST_TRIES):
            try:
                await self._choose(batch)
                results = await self._upsert(batch) if batch.mine else []
                if batch.tally is None:  # nothing was stored
                    async with batch.work.context.transaction() as session:
                        await batch.note(session, results)
                return cast(Tally, batch.tally)
            except Superseded:
                batch.tally = None
        raise Conflict("The documents are being replaced by others; try again.", retry_after=1)

    async def _choose(self, batch: Batch) -> None:
        """Those whose key is still the job's, and those without one."""
        keys = [line.key for line in batch.lines if line.key is not None]
        work = batch.work
        async with work.context.transaction() as session:
            held = await accepted.find(session, work.tenant_id, work.collection_id, keys, work.job_id)
        batch.mine = [line for line in batch.lines if line.key is None or line.key in held]

    async def _upsert(self, batch: Batch) -> Sequence[DocumentResult]:
        work = batch.work
        recorder = BatchRecorder(batch=batch)
        ingestion = IngestionService(work.context.database, self.embedders, recorder, self.index_threshold, work.job_id)
        documents = [line.document for line in batch.mine]
        stored = await ingestion.upsert_each(work.collection_id, documents, chunking=work.chunking)
        return stored.results


def read_work(context: JobContext) -> Work:
    payload = context.payload
    chunking = payload.get("chunking")
    return Work(
        context,
        uuid.UUID(payload["collection_id"]),
        uuid.UUID(payload["file_id"]),
        None if chunking is None else msgspec.convert(chunking, ChunkingUpdate),
    )
