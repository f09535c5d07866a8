"""A collection as lines of JSON: a header, a document a line, and a last line that a file which was cut lacks."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from ragstore.collection.schemas import Chunking, Metric

FORMAT: Literal[1] = 1


class ExportedCollection(msgspec.Struct):
    """What a copy of the collection is made with."""

    name: str
    title: str | None
    embedding_model: str
    chunking: Chunking
    language: str
    metric: Metric
    metadata: dict[str, Any]


class ExportHeader(msgspec.Struct):
    """The first line. `documents` is how many the collection had when the export began; null with a filter."""

    ragstore: Literal[1]
    collection: ExportedCollection
    vectors: bool
    documents: int | None
    exported_at: datetime


class ExportedChunk(msgspec.Struct):
    """`vector` is base64 of little-endian float32, without the zeros at its end."""

    content: str
    start: int
    end: int
    metadata: dict[str, Any]
    vector: str | UnsetType = UNSET


class ExportedDocument(msgspec.Struct):
    key: str
    title: str | None
    source: str | None
    url: str | None
    metadata: dict[str, Any]
    content: str
    created_at: datetime
    chunks: list[ExportedChunk]


class ExportFault(msgspec.Struct):
    """Why an export stopped; `type` as in `docs/errors.md`."""

    type: str
    detail: str


class ExportEnd(msgspec.Struct):
    """The last line. A file without it, or with `done` false, is not the whole collection."""

    done: bool
    documents: int
    error: ExportFault | UnsetType = UNSET
