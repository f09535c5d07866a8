from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType


class DocumentRead(msgspec.Struct):
    """`content` is there when one document is read, and in lists that ask for it. `file_id`: what it was read from."""

    id: UUID
    key: str
    title: str | None
    source: str | None
    url: str | None
    metadata: dict[str, Any]
    version: int
    chunk_count: int
    file_id: UUID | None
    created_at: datetime
    updated_at: datetime
    content: str | UnsetType = UNSET


class DocumentUpdate(msgspec.Struct, forbid_unknown_fields=True):
    """What can change without embedding anew. `metadata` is merged (RFC 7396): a key set to null is removed."""

    source: str | UnsetType | None = UNSET
    url: str | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


class DocumentsDeleted(msgspec.Struct):
    """`deleted` documents, with their `chunks`; `files` are uploads that nothing else stood on."""

    deleted: int
    chunks: int = 0
    files: int = 0


class ChunkRead(msgspec.Struct):
    """`start` and `end` are code points of the document's content, end exclusive; `metadata` is the passage's own."""

    id: UUID
    ordinal: int
    content: str
    start: int
    end: int
    token_count: int
    metadata: dict[str, Any]


FilterText = Annotated[str, Meta(description="A filter as JSON text.")]
