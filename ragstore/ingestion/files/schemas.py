from typing import Any, Literal
from uuid import UUID

import msgspec

from ragstore.collection.schemas import ChunkingUpdate
from ragstore.ingestion.schemas import DocumentFault

Status = Literal["created", "updated", "unchanged", "accepted", "failed"]


class FileFields(msgspec.Struct):
    """What is said of an uploaded file beside its bytes. Without `key`, its name; without `title`, its own."""

    key: str | None = None
    title: str | None = None
    source: str | None = None
    url: str | None = None
    metadata: dict[str, Any] = {}
    chunking: ChunkingUpdate = ChunkingUpdate()


class FileResult(msgspec.Struct):
    """What became of one file. `id`, `version` and `chunks` are the document's. `job` reads the file: it is named while
    the file is `accepted` and afterwards; null for an `unchanged` one, which nothing had to be done for.
    """

    key: str
    name: str
    status: Status
    id: UUID | None = None
    file_id: UUID | None = None
    version: int | None = None
    chunks: int | None = None
    job: UUID | None = None
    warnings: list[str] = []
    error: DocumentFault | None = None


class FileResults(msgspec.Struct):
    """One result per file, in the order sent."""

    results: list[FileResult]
