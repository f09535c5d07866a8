"""What a document is when it is stored, and what is known of the one that is there."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstore.document.passages.service import StoredPassage
from ragstore.lexical.indexing import PassageTerms


class Moved(Exception):
    """A document is no longer the one that was looked at when it was decided what to change of it."""


@dataclass(frozen=True)
class Passage:
    """`prefix` stands before the content when it is embedded and searched by words, and is not part of it."""

    content: str
    start: int
    end: int
    token_count: int
    metadata: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""

    @property
    def indexed(self) -> str:
        """The text that is embedded and searched by words."""
        return f"{self.prefix}\n\n{self.content}" if self.prefix else self.content


@dataclass(frozen=True)
class ModelVectors:
    """Of one model: `vectors` (n, 1536) float32 and `codes` (n, 192) uint8, one a passage."""

    model_id: int
    vectors: NDArray[np.float32]
    codes: NDArray[np.uint8]

    def cut(self, start: int, end: int) -> "ModelVectors":
        return ModelVectors(self.model_id, self.vectors[start:end], self.codes[start:end])

    def list_rows(self) -> list[tuple[int, float, NDArray[np.float32], bytes]]:
        """What the table of embeddings has of each vector: model, norm, vector and code."""
        norms = np.linalg.norm(self.vectors, axis=1).tolist()
        return [
            (self.model_id, norm, vector, code.tobytes())
            for norm, vector, code in zip(norms, self.vectors, self.codes, strict=True)
        ]


@dataclass(frozen=True)
class StoredVersion:
    """What is known of a document that is there already."""

    id: uuid.UUID
    version: int
    chunk_count: int
    content_digest: bytes
    record_digest: bytes
    file_id: uuid.UUID | None = None


@dataclass(frozen=True)
class DocumentVersion:
    """A document as it is to be stored. `kept`, by ordinal: passages of `stored` that stay as they are but for their
    place and metadata. Of the others, in order: `vectors` (n, 1536) float32, `codes` (n, 192) uint8, `terms` and, where
    they are known, `digests`. `id` is for a new document; one that is there keeps its own. `second` are vectors of the
    collection's second model; what lacks them gets them by the job that fills them.
    """

    id: uuid.UUID
    key: str
    content: str
    fields: Mapping[str, Any]
    content_digest: bytes
    record_digest: bytes
    passages: Sequence[Passage]
    vectors: NDArray[np.float32]
    codes: NDArray[np.uint8]
    terms: Sequence[PassageTerms]
    digests: Sequence[bytes] = ()
    kept: Mapping[int, StoredPassage] = field(default_factory=dict)
    stored: StoredVersion | None = None
    second: ModelVectors | None = None


@dataclass(frozen=True)
class RecordChange:
    """What changes of a document beside its content."""

    stored: StoredVersion
    fields: Mapping[str, Any]
    record_digest: bytes


@dataclass(frozen=True)
class Published:
    id: uuid.UUID
    version: int
