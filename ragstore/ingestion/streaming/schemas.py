"""What a stream of documents is answered, line by line."""

from datetime import datetime
from uuid import UUID

import msgspec

from ragstore.ingestion.schemas import DocumentFault, DocumentUpsert, Status


class StreamedDocument(DocumentUpsert, forbid_unknown_fields=True):
    """A line: a document as it is posted, or as it was exported. `created_at` of an export is read over."""

    created_at: datetime | None = None


class LineResult(msgspec.Struct):
    """What became of one line; lines are counted from 1."""

    line: int
    key: str | None
    id: UUID | None
    status: Status
    version: int | None = None
    chunks: int | None = None
    error: DocumentFault | None = None


class Resumed(msgspec.Struct):
    """The first line of the answer when lines were stored before: those are not answered again."""

    resumed_after: int


class Counts(msgspec.Struct, frozen=True):
    """Lines, and what became of them: with those stored before, when the import has a name."""

    lines: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    chunks: int = 0


class ImportDone(msgspec.Struct):
    """The last line of the answer when every line was read."""

    done: bool
    lines: int
    created: int
    updated: int
    unchanged: int
    failed: int
    chunks: int


class StreamFault(msgspec.Struct):
    """Why a stream stopped; `type` and `status` as in `docs/errors.md`."""

    type: str
    status: int
    detail: str
    retry_after: float | None = None


class ImportStopped(msgspec.Struct):
    """The last line of the answer when the import had to stop: `lines` are answered and stored, the others are not."""

    done: bool
    lines: int
    error: StreamFault


class ImportPositionRead(msgspec.Struct):
    """How far the import of this name has come."""

    name: str
    lines: int
    created: int
    updated: int
    unchanged: int
    failed: int
    chunks: int
    updated_at: datetime
