from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from ragstore.job.schemas import JobRead

MOST_DOCUMENTS = 1000

Status = Literal["created", "updated", "unchanged", "accepted", "failed"]


class DocumentUpsert(msgspec.Struct, forbid_unknown_fields=True):
    """A document and the caller's `key` for it: the same key again replaces it. Without one, its id becomes the key."""

    content: str
    key: str | None = None
    title: str | None = None
    source: str | None = None
    url: str | None = None
    metadata: dict[str, Any] = {}


class DocumentsUpsert(msgspec.Struct, forbid_unknown_fields=True):
    """Each of `documents` is a DocumentUpsert, read one by one: a bad one does not spoil the others."""

    documents: Annotated[list[Any], Meta(min_length=1, max_length=MOST_DOCUMENTS)]


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
