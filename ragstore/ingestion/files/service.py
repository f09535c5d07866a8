"""Uploads become files and jobs that read them, in one commit; whoever waits is told what came of it."""

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ragstore.collection.rules import change_chunking, check_chunking
from ragstore.collection.service import CollectionHandle, CollectionService
from ragstore.database import AsyncSession, TenantDatabase
from ragstore.document.accepted import queries as accepted
from ragstore.document.accepted.service import settle_keys
from ragstore.document.digests import digest_record
from ragstore.errors import FieldError, Unprocessable, find_error
from ragstore.file.service import FileService
from ragstore.idempotency.service import Recorder
from ragstore.ingestion.files.queries import StoredFile, find_stored
from ragstore.ingestion.files.schemas import FileFields, FileResult, FileResults
from ragstore.ingestion.files.uploads import Upload, digest_request
from ragstore.ingestion.schemas import DocumentFault
from ragstore.job.schemas import JobRead
from ragstore.job.service import JobService, enqueue

READ_FILE = "file"
UNKNOWN_TYPE = "application/octet-stream"  # until it has been read: what the sender says of it counts for nothing
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5


@dataclass(frozen=True)
class FileIngestion:
    """Raises NotFound for an unknown collection and Unprocessable for a chunking rule that cannot be."""

    database: TenantDatabase
    recorder: Recorder = field(default_factory=Recorder)

    async def accept(self, collection: str, uploads: Sequence[Upload], fields: FileFields) -> FileResults:
        """Stored, each with the job that will read it: nothing is lost from here on."""
        tenant_id = self.database.tenant_id
        async with self.database.transaction() as session:
            handle = await CollectionService(session, tenant_id).open(collection)
            chunking = change_chunking(handle.chunking, fields.chunking)
            if faults := check_chunking(chunking):
                raise Unprocessable("The chunking is not valid.", errors=tuple(faults))
            asked = digest_request(fields, chunking)
            results = [await self._accept_one(session, handle, one, fields, asked) for one in uploads]
            answer = FileResults(results)
            await self.recorder.answer(session, answer, status=choose_status(answer))
        return answer

    async def _accept_one(
        self, session: AsyncSession, handle: CollectionHandle, upload: Upload, fields: FileFields, asked: bytes
    ) -> FileResult:
        tenant_id = self.database.tenant_id
        stored = await find_stored(session, tenant_id, handle.id, upload.key)
        if stored is not None and is_same(stored, upload, fields, asked):
            await settle_keys(session, tenant_id, handle.id, [upload.key], None)  # this is the last word on it
            return FileResult(
                upload.key,
                upload.name,
                "unchanged",
                stored.document_id,
                stored.file_id,
                stored.version,
                stored.chunk_count,
            )
        content = await upload.content.read()
        file = await FileService(session, tenant_id).store(
            upload.name, UNKNOWN_TYPE, content, keep=False, digest=upload.digest, asked=asked
        )
        payload: dict[str, Any] = {
            "collection_id": str(handle.id),
            "file_id": str(file.id),
            "fields": msgspec.to_builtins(msgspec.structs.replace(fields, key=upload.key)),
        }
        job_id = await enqueue(session, tenant_id, READ_FILE, payload)
        await accepted.accept(session, tenant_id, handle.id, [upload.key], job_id)
        return FileResult(upload.key, upload.name, "accepted", file_id=file.id, job=job_id)

    async def wait(self, accepted: FileResults, seconds: float) -> FileResults:
        """What became of them; those that are not through by then stay `accepted`. Raises the first file's error when
        all of them failed.
        """
        deadline, pause = time.monotonic() + seconds, FIRST_PAUSE
        results = accepted.results
        while any(one.status == "accepted" for one in results) and time.monotonic() < deadline:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            results = await self._look(results)
        if all(one.status == "failed" for one in results):
            raise to_error(results)
        return FileResults(results)

    async def _look(self, results: Sequence[FileResult]) -> list[FileResult]:
        async with self.database.transaction() as session:
            jobs = JobService(session, self.database.tenant_id)
            return [
                to_result(one, await jobs.read(one.job)) if one.status == "accepted" and one.job else one
                for one in results
            ]


def is_same(stored: StoredFile, upload: Upload, fields: FileFields, asked: bytes) -> bool:
    """The record may have been changed since, without a file."""
    record = digest_record(fields.source, fields.url, fields.metadata, from_file=True)
    return (stored.digest, stored.asked, stored.record_digest) == (upload.digest, asked, record)


def choose_status(answer: FileResults) -> int:
    return 202 if any(one.status == "accepted" for one in answer.results) else 200


def to_result(accepted: FileResult, job: JobRead) -> FileResult:
    if job.state == "succeeded" and job.result is not None:
        return msgspec.structs.replace(accepted, **msgspec.structs.asdict(msgspec.convert(job.result, FileOutcome)))
    if job.state in ("failed", "cancelled"):
        error = DocumentFault(job.error.type, job.error.detail) if job.error else CANCELLED
        return msgspec.structs.replace(accepted, status="failed", error=error)
    return accepted


class FileOutcome(msgspec.Struct):
    """The result of a job that read a file."""

    id: uuid.UUID
    status: str
    version: int
    chunks: int
    warnings: list[str] = []


CANCELLED = DocumentFault("urn:ragstore:error:conflict", "The job was cancelled.")


def to_error(results: Sequence[FileResult]) -> Exception:
    errors = [one.error or CANCELLED for one in results]
    faults = tuple(FieldError(f"file[{index}]", one.detail) for index, one in enumerate(errors))
    return find_error(errors[0].type)(errors[0].detail, errors=faults)
