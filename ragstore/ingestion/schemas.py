from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from ragstore.collection.schemas import ChunkingUpdate

MOST_DOCUMENTS = 1000

Status = Literal["created", "updated", "unchanged", "failed"]


class DocumentUpsert(msgspec.Struct, forbid_unknown_fields=True):
    """A document and the caller's `key` for it: the same key again replaces it. Without one, its id becomes the key."""

    content: str
    key: str | None = None
    title: str | None = None
    source: str | None = None
    url: str | None = None
    metadata: dict[str, Any] = {}


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
    """One result per document, in the order sent. `job` is null: everything was done before the answer."""

    results: list[DocumentResult]
    job: None = None
