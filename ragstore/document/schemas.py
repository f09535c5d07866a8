from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType


class DocumentRead(msgspec.Struct):
    """`content` is there when one document is read, and in lists that ask for it."""

    id: UUID
    key: str
    title: str | None
    source: str | None
    url: str | None
    metadata: dict[str, Any]
    version: int
    chunk_count: int
    created_at: datetime
    updated_at: datetime
    content: str | UnsetType = UNSET


class DocumentUpdate(msgspec.Struct, forbid_unknown_fields=True):
    """What can change without embedding anew. `metadata` is merged (RFC 7396): a key set to null is removed."""

    source: str | UnsetType | None = UNSET
    url: str | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


class DocumentsDeleted(msgspec.Struct):
    deleted: int


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
