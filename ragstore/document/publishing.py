"""A document, its chunks and its vectors, replaced in one commit: readers see all of a version or none of it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.service import CollectionHandle, CollectionService
from ragstore.columns import new_id
from ragstore.database import AsyncSession
from ragstore.document import queries
from ragstore.document.entries import list_entries
from ragstore.document.terms import queries as terms
from ragstore.failpoints import Failpoint, failpoint
from ragstore.lexical.indexing import PassageTerms, count_passages


@dataclass(frozen=True)
class Passage:
    content: str
    start: int
    end: int
    token_count: int


@dataclass(frozen=True)
class StoredVersion:
    """What is known of a document that is there already."""

    id: uuid.UUID
    version: int
    chunk_count: int
    content_digest: bytes
    record_digest: bytes


@dataclass(frozen=True)
class DocumentVersion:
    """A document as it is to be stored: `vectors` (n, 1536) float32, `codes` (n, 192) uint8 and `terms`, one a passage.
    `id` is for a new document; one that is there keeps its own.
    """

    id: uuid.UUID
    key: str
    content: str
    fields: dict[str, Any]
    content_digest: bytes
    record_digest: bytes
    passages: Sequence[Passage]
    vectors: NDArray[np.float32]
    codes: NDArray[np.uint8]
    terms: Sequence[PassageTerms]


@dataclass(frozen=True)
class Published:
    id: uuid.UUID
    version: int


@dataclass(frozen=True)
class Publisher:
    """Writes into one collection within the caller's transaction."""

    session: AsyncSession
    tenant_id: uuid.UUID
    collection: CollectionHandle
    index_threshold: int | None = None  # chunks from which the collection is to have an index on its codes

    async def find_stored(self, keys: Sequence[str]) -> dict[str, StoredVersion]:
        rows = await queries.find_by_keys(self.session, self.tenant_id, self.collection.id, keys)
        return {
            row.key: StoredVersion(row.id, row.version, row.chunk_count, row.content_digest, row.record_digest)
            for row in rows
        }

    async def lock(self, keys: Sequence[str]) -> None:
        """Until commit: call first with all keys of the transaction, so that writers of the same keys queue up."""
        await queries.lock_documents(self.session, self.tenant_id, self.collection.id, keys)

    async def replace_record(
        self, stored: StoredVersion, fields: dict[str, Any], record_digest: bytes
    ) -> Published | None:
        """Change what is not embedded; None when the document's content changed meanwhile."""
        version = await queries.update_record(
            self.session,
            self.tenant_id,
            stored.id,
            stored.content_digest,
            {name: fields[name] for name in ("source", "url", "meta")} | {"record_digest": record_digest},
        )
        if version is None:
            return None
        await self._replace_entries({stored.id: fields})
        return Published(stored.id, version)

    async def replace(self, versions: Sequence[DocumentVersion]) -> dict[str, Published]:
        """Store documents with their chunks and vectors, by key. Keys must differ."""
        if not versions:
            return {}
        rows = [self._document_row(one) for one in sorted(versions, key=lambda version: version.key)]
        stored = await queries.upsert_documents(self.session, rows)
        failpoint(Failpoint.DOCUMENTS_WRITTEN)
        published = {key: Published(document_id, version) for key, document_id, version in stored}
        replaced = [one.id for one in published.values() if one.version > 1]
        removed, forgotten = 0, 0
        if replaced:
            forgotten = await terms.forget_terms(self.session, self.tenant_id, self.collection.id, replaced)
            removed = await queries.delete_chunks(self.session, self.tenant_id, replaced)
        await self._replace_entries({published[one.key].id: one.fields for one in versions})
        await self._insert_passages(versions, published)
        failpoint(Failpoint.PASSAGES_WRITTEN)
        learned = [terms for one in versions for terms in one.terms]
        await terms.note_terms(self.session, self.tenant_id, self.collection.id, count_passages(learned))
        await CollectionService(self.session, self.tenant_id).count_in(
            self.collection.id,
            documents=len(published) - len(replaced),
            chunks=sum(len(one.passages) for one in versions) - removed,
            terms=sum(terms.length for terms in learned) - forgotten,
            index_threshold=self.index_threshold,
        )
        return published

    def _document_row(self, one: DocumentVersion) -> dict[str, Any]:
        return {
            "tenant_id": self.tenant_id,
            "id": one.id,
            "collection_id": self.collection.id,
            "key": one.key,
            "content": one.content,
            "content_digest": one.content_digest,
            "record_digest": one.record_digest,
            "chunk_count": len(one.passages),
            **one.fields,
        }

    async def _replace_entries(self, fields: dict[uuid.UUID, dict[str, Any]]) -> None:
        entries = {document_id: list_entries(one["source"], one["meta"]) for document_id, one in fields.items()}
        await queries.replace_entries(self.session, self.tenant_id, self.collection.id, entries)

    async def _insert_passages(self, versions: Sequence[DocumentVersion], published: dict[str, Published]) -> None:
        chunks: list[dict[str, Any]] = []
        embeddings: list[dict[str, Any]] = []
        passage_terms: list[dict[str, Any]] = []
        for one in versions:
            document_id = published[one.key].id
            for ordinal, passage in enumerate(one.passages):
                shared = {
                    "tenant_id": self.tenant_id,
                    "collection_id": self.collection.id,
                    "document_id": document_id,
                }
                chunk_id = new_id()
                chunks.append(
                    {
                        **shared,
                        "id": chunk_id,
                        "ordinal": ordinal,
                        "content": passage.content,
                        "start_offset": passage.start,
                        "end_offset": passage.end,
                        "token_count": passage.token_count,
                    }
                )
                embeddings.append(
                    {
                        **shared,
                        "chunk_id": chunk_id,
                        "model_id": self.collection.model_id,
                        "norm": float(np.linalg.norm(one.vectors[ordinal])),
                        "vector": one.vectors[ordinal],
                        "code": one.codes[ordinal].tobytes(),
                    }
                )
                passage_terms.append({**shared, "chunk_id": chunk_id, **to_terms_row(one.terms[ordinal])})
        await queries.insert_chunks(self.session, chunks)
        await queries.insert_embeddings(self.session, embeddings)
        await terms.insert_passage_terms(self.session, passage_terms)


def to_terms_row(one: PassageTerms) -> dict[str, Any]:
    return {
        "length": one.length,
        "saturation": one.saturation,
        "weights": (one.indices, one.weights),
        "terms": one.terms,
    }
