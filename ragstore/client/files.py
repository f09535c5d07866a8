"""The calls about files, which the service reads itself."""

import time
from pathlib import Path
from uuid import UUID

import msgspec

from ragstore.client.faults import RagstoreClientError
from ragstore.client.transport import Transport, collection_path
from ragstore.ingestion.schemas import DocumentFault
from ragstore.job.schemas import JobRead

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class FileResult(msgspec.Struct):
    """What became of one file. `job` reads it while it is `accepted`."""

    key: str
    status: str
    id: UUID | None = None
    version: int | None = None
    chunks: int | None = None
    job: UUID | None = None
    warnings: list[str] = []
    error: DocumentFault | None = None


class FileResults(msgspec.Struct):
    results: list[FileResult]


class JobOutcome(msgspec.Struct):
    """What a job that has read a file says of the document."""

    status: str
    id: UUID | None = None
    version: int | None = None
    chunks: int | None = None
    warnings: list[str] = []


class FileCalls:
    transport: Transport

    def upload_file(
        self,
        collection: str,
        file: Path | bytes,
        *,
        key: str,
        name: str,
        source: str | None = None,
        url: str | None = None,
        timeout: float = 3600,
    ) -> FileResult:
        """Answers when the file is read and searchable, or why it is not, `timeout` seconds at most. The same bytes
        again are `unchanged`.
        """
        fields = {"key": key, "source": source, "url": url}
        told = {field: value for field, value in fields.items() if value is not None}
        content = file if isinstance(file, bytes) else file.read_bytes()
        path = f"{collection_path(collection)}/files"
        part = {"file": (name, content, "application/octet-stream")}
        answer = self.transport.upload(FileResults, path, fields=told, files=part, params={"wait": "true"})
        (result,) = answer.results
        return result if result.job is None or result.status != "accepted" else self._await(result, timeout)

    def read_job(self, job_id: UUID) -> JobRead:
        return self.transport.call(JobRead, "GET", f"/v1/jobs/{job_id}")

    def _await(self, accepted: FileResult, timeout: float) -> FileResult:
        assert accepted.job is not None  # noqa: S101 - that is what was asked
        deadline, pause = time.monotonic() + timeout, FIRST_PAUSE
        while not (job := self.read_job(accepted.job)).ended:
            if time.monotonic() > deadline:
                raise RagstoreClientError(f"The job {job.id} has not read {accepted.key} in {timeout:,.0f} s")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        if job.state != "succeeded":
            kind, detail = (job.error.type, job.error.detail) if job.error else (f"job-{job.state}", f"was {job.state}")
            return FileResult(accepted.key, "failed", job=job.id, error=DocumentFault(kind, detail))
        done = msgspec.convert(job.result, JobOutcome)
        return FileResult(accepted.key, done.status, done.id, done.version, done.chunks, job.id, done.warnings)
