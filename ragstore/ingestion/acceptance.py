"""Documents that are stored later: kept as they came, and a job that stores them."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from ragstore.collection.schemas import ChunkingUpdate
from ragstore.collection.service import CollectionService, with_chunking
from ragstore.columns import new_id
from ragstore.database import AsyncSession, TenantDatabase
from ragstore.document.accepted import queries as accepted
from ragstore.file.service import FileService
from ragstore.idempotency.service import Recorder
from ragstore.ingestion.lines import MEDIA_TYPE, encode_lines
from ragstore.ingestion.results import refuse_document, refuse_none_stored
from ragstore.ingestion.schemas import DocumentResult, UpsertResults
from ragstore.ingestion.validation import Checked, check_documents
from ragstore.job.service import JobService, enqueue

INGEST = "ingest"
ACCEPTED = 202
FILE_NAME = "documents.ndjson"
MOST_AT_ONCE = 100  # documents that are stored before the answer, unless the request says otherwise
LARGEST_AT_ONCE = 1024 * 1024  # bytes of its body


def is_to_wait(wait: bool | None, documents: int, size: int) -> bool:
    return wait if wait is not None else documents <= MOST_AT_ONCE and size <= LARGEST_AT_ONCE


@dataclass(frozen=True)
class AcceptanceService:
    """Raises NotFound for an unknown collection and InvalidDocument when no document is good: nothing is kept then."""

    database: TenantDatabase
    recorder: Recorder = field(default_factory=Recorder)

    async def accept(
        self, collection: str, documents: Sequence[object], *, chunking: ChunkingUpdate | None = None
    ) -> UpsertResults:
        """Durable when this returns: the documents, the job, and that the job has the last word on their keys."""
        documents = [give_key(one) for one in documents]
        checked = await asyncio.to_thread(check_documents, documents)
        results = [to_result(one) for one in checked]
        refuse_none_stored(results)
        good = [one if checked[index].document is not None else None for index, one in enumerate(documents)]
        content = await asyncio.to_thread(encode_lines, good)
        keys = [one.document.key for one in checked if one.document is not None and one.document.key is not None]
        async with self.database.transaction() as session:
            handle = await CollectionService(session, self.database.tenant_id).open(collection)
            if chunking is not None:
                with_chunking(handle, chunking)
            job_id = await self._enqueue(session, handle.id, content, chunking)
            await accepted.accept(session, self.database.tenant_id, handle.id, keys, job_id)
            job = await JobService(session, self.database.tenant_id).read(job_id)
            answer = UpsertResults(results, job)
            return await self.recorder.answer(session, answer, status=ACCEPTED)

    async def _enqueue(
        self, session: AsyncSession, collection_id: uuid.UUID, content: bytes, chunking: ChunkingUpdate | None
    ) -> uuid.UUID:
        files = FileService(session, self.database.tenant_id)
        file = await files.store(FILE_NAME, MEDIA_TYPE, content, keep=False)
        payload = {
            "collection_id": str(collection_id),
            "file_id": str(file.id),
            "chunking": None if chunking is None else msgspec.to_builtins(chunking),
        }
        return await enqueue(session, self.database.tenant_id, INGEST, payload)


def give_key(document: object) -> object:
    """Whoever is told that it is accepted must be able to find it again."""
    if isinstance(document, dict) and document.get("key") is None:
        return {**document, "key": str(new_id())}
    return document


def to_result(one: Checked) -> DocumentResult:
    return refuse_document(one) if one.document is None else DocumentResult(one.document.key, None, "accepted")
