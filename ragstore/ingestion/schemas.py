from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from ragstore.collection.schemas import ChunkingUpdate
from ragstore.job.schemas import JobRead

MOST_DOCUMENTS = 1000

Status = Literal["created", "updated", "unchanged", "accepted", "failed"]


# Numbers, or base64 of little-endian float32: a sixth of the bytes.
Vector = list[float] | str


class ChunkUpsert(msgspec.Struct, forbid_unknown_fields=True):
    """A passage as the caller cut it. `start` and `end` are code points of the document's content, end exclusive; left
    out, the passage is looked for behind the one before. Without a `vector` the collection's model makes one.
    """

    content: str
    start: int | None = None
    end: int | None = None
    metadata: dict[str, Any] = {}
    vector: Vector | None = None


class DocumentUpsert(msgspec.Struct, forbid_unknown_fields=True):
    """A document and the caller's `key` for it: the same key again replaces it. Without one, its id becomes the key.

    `content` may be left out where `chunks` are given: it is then theirs, with a blank line between. With a `vector` of
    1 to 1536 numbers the document is one passage.
    """

    content: str | None = None
    key: str | None = None
    title: str | None = None
    source: str | None = None
    url: str | None = None
    metadata: dict[str, Any] = {}
    chunks: list[ChunkUpsert] | None = None
    vector: Vector | None = None


class DocumentsUpsert(msgspec.Struct, forbid_unknown_fields=True):
    """Each of `documents` is a DocumentUpsert, read one by one: a bad one does not spoil the others. `chunking` is how
    these are cut; what it leaves out is as the collection says.
    """

    documents: Annotated[list[Any], Meta(min_length=1, max_length=MOST_DOCUMENTS)]
    chunking: ChunkingUpdate | None = None


class FieldFault(msgspec.Struct):
    path: str
    message: str


class DocumentFault(msgspec.Struct):
    """Why one document of several was refused; `type` as in `docs/errors.md`."""

    type: str
    detail: str
    errors: list[FieldFault] = []


class DocumentResult(msgspec.Struct):
    key: str | None
    id: UUID | None
    status: Status
    version: int | None = None
    chunks: int | None = None
    error: DocumentFault | None = None


class UpsertResults(msgspec.Struct):
    """One result per document, in the order sent. `job` is null when everything was done before the answer; else it is
    about to store the documents that are `accepted`, which have no id yet.
    """

    results: list[DocumentResult]
    job: JobRead | None = None
