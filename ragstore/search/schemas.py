from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

Mode = Literal["vector"]


class SearchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Either `query`, a text, or `vector`: numbers, or little-endian float32 as base64; the model's width or 1536."""

    query: Annotated[str, Meta(max_length=100_000)] | None = None
    vector: list[float] | str | None = None
    mode: Mode = "vector"
    top_k: Annotated[int, Meta(ge=1, le=1000)] = 10
    filter: dict[str, Any] | None = None


class Hit(msgspec.Struct):
    """A passage. `score` is the cosine similarity, 1 at most; `start` and `end` are code points of its document."""

    document_id: UUID
    document_key: str
    chunk_id: UUID
    score: float
    content: str
    title: str | None
    source: str | None
    url: str | None
    metadata: dict[str, Any]
    ordinal: int
    start: int
    end: int


class SearchResults(msgspec.Struct):
    """Best first; equal scores by chunk id."""

    hits: list[Hit]
