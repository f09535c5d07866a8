from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

# The text search configurations every Postgres has.
Language = Literal[
    "simple", "arabic", "armenian", "basque", "catalan", "danish", "dutch", "english", "estonian", "finnish", "french",
    "german", "greek", "hindi", "hungarian", "indonesian", "irish", "italian", "lithuanian", "nepali", "norwegian",
    "portuguese", "romanian", "russian", "serbian", "spanish", "swedish", "tamil", "turkish", "yiddish",
]  # fmt: skip

# How near two vectors are. Models of text are made for the cosine.
Metric = Literal["cosine", "inner_product", "l2"]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"

CollectionName = Annotated[
    str,
    Meta(
        pattern=NAME_PATTERN,
        description="Letters, digits, `.`, `_` and `-`; at most 128 of them. It stands in URLs.",
    ),
]


# `tokens`: as long as fits, ending at paragraphs, lines, sentences, words. `markdown`: at headings and blocks first.
# `sentences`: whole sentences. `none`: a document is one passage.
Strategy = Literal["tokens", "markdown", "sentences", "none"]

# What stands before a passage when it is embedded and searched by words, and is not part of its content: nothing, the
# document's title, or title and the headings the passage stands under.
Prefix = Literal["none", "title", "heading"]


class Chunking(msgspec.Struct, frozen=True):
    """How documents are cut into passages: at most `size` tokens each, sharing up to `overlap` with the one before."""

    size: int = 512
    overlap: int = 64
    strategy: Strategy = "tokens"
    prefix: Prefix = "title"


class ChunkingUpdate(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is left out stays; a new collection has size 512 and overlap 64, or an eighth of a smaller size."""

    size: Annotated[int, Meta(ge=16, le=8192)] | UnsetType = UNSET
    overlap: Annotated[int, Meta(ge=0, le=4096)] | UnsetType = UNSET
    strategy: Strategy | UnsetType = UNSET
    prefix: Prefix | UnsetType = UNSET


class CollectionCreate(msgspec.Struct, forbid_unknown_fields=True):
    """`language` and `metric` cannot be changed later, `embedding_model` by `…/reembed` only. Without a model: the
    service's default.
    """

    name: CollectionName
    title: str | None = None
    embedding_model: str | None = None
    chunking: ChunkingUpdate = ChunkingUpdate()
    language: Language = "english"
    metric: Metric = "cosine"
    metadata: dict[str, Any] = {}


class CollectionUpdate(msgspec.Struct, forbid_unknown_fields=True):
    """Fields left out stay as they are. A new chunking rule cuts a document when it is posted again."""

    unchangeable: ClassVar = ("embedding_model", "language", "metric")

    name: CollectionName | UnsetType = UNSET
    title: str | UnsetType | None = UNSET
    chunking: ChunkingUpdate | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


class CollectionRead(msgspec.Struct):
    id: UUID
    name: str
    title: str | None
    embedding_model: str
    chunking: Chunking
    language: str
    metric: Metric
    metadata: dict[str, Any]
    document_count: int
    chunk_count: int
    created_at: datetime
    updated_at: datetime


class CollectionDeleted(msgspec.Struct):
    """What was removed; `files` are uploads that nothing else stood on."""

    documents: int
    chunks: int
    files: int = 0
