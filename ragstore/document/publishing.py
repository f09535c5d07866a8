"""A document, its chunks and its vectors, replaced in one commit: readers see all of a version or none of it."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragstore.collection.models import hold_models, request_reembedding
from ragstore.collection.service import CollectionHandle, CollectionService
from ragstore.columns import new_id
from ragstore.database import AsyncSession
from ragstore.document import queries
from ragstore.document.entries import list_entries
from ragstore.document.passages import queries as passages
from ragstore.document.passages.service import StoredPassage
from ragstore.document.rows import to_chunk_row, to_document_columns, to_moves, to_record_columns, to_terms_row
from ragstore.document.terms import queries as terms
from ragstore.document.versions import (
    DocumentVersion,
    ModelVectors,
    Moved,
    Passage,
    Published,
    RecordChange,
    StoredVersion,
)
from ragstore.failpoints import Failpoint, failpoint
from ragstore.file.service import FileService
from ragstore.lexical.indexing import count_passages


@dataclass(frozen=True)
class Publisher:
    """Writes into one collection within the caller's transaction. `fields` of a document are title, source, url, meta
    and file_id.
    """

    session: AsyncSession
    tenant_id: uuid.UUID
    collection: CollectionHandle
    index_threshold: int | None = None  # chunks from which the collection is to have an index on its codes

    async def hold(self) -> None:
        """Until commit the collection keeps its models: call first. Raises ModelsChanged when it has others by now."""
        await hold_models(self.session, self.tenant_id, self.collection)

    async def find_stored(self, keys: Sequence[str]) -> dict[str, StoredVersion]:
        rows = await queries.find_by_keys(self.session, self.tenant_id, self.collection.id, keys)
        return {row[0]: StoredVersion(*row[1:]) for row in rows}

    async def lock(self, keys: Sequence[str]) -> None:
        """Until commit: call first with all keys of the transaction, so that writers of the same keys queue up."""
        await queries.lock_documents(self.session, self.tenant_id, self.collection.id, keys)

    async def replace_records(self, changes: Sequence[RecordChange]) -> dict[uuid.UUID, Published]:
        """Change what is not embedded, by id. Raises Moved when the content of one is another by now."""
        if not changes:
            return {}
        rows = await queries.update_records(self.session, self.tenant_id, to_record_columns(changes))
        if len(rows) < len(changes):
            raise Moved
        await self._replace_entries({one.stored.id: one.fields for one in changes}, known=True)
        await self._release_files((one.stored, one.fields) for one in changes)
        return {document_id: Published(document_id, version) for document_id, version in rows}

    async def replace(self, versions: Sequence[DocumentVersion]) -> dict[str, Published]:
        """Store documents with their chunks and vectors, by key. Keys must differ. Raises Moved when passages were to
        be kept of a version that is no longer the last.
        """
        if not versions:
            return {}
        columns = to_document_columns(versions)
        rows = await queries.upsert_documents(self.session, self.tenant_id, self.collection.id, columns)
        failpoint(Failpoint.DOCUMENTS_WRITTEN)
        published = {key: Published(document_id, version) for key, document_id, version in rows}
        kept = list(list_kept(versions, published))
        replaced = [one.id for one in published.values() if one.version > 1]
        removed, forgotten = 0, 0
        if replaced:
            scope = (self.tenant_id, self.collection.id)
            forgotten = await terms.forget_terms(self.session, *scope, replaced, [stored.id for stored, *_ in kept])
            removed = await passages.delete_chunks(
                self.session, self.tenant_id, replaced, [stored.id for stored, *_ in kept]
            )
            await passages.move_chunks(self.session, self.tenant_id, to_moves(kept))
        await self._replace_entries({published[one.key].id: one.fields for one in versions}, known=bool(replaced))
        learned = await self._insert_passages(versions, published)
        failpoint(Failpoint.PASSAGES_WRITTEN)
        await CollectionService(self.session, self.tenant_id).count_in(
            self.collection.id,
            documents=len(published) - len(replaced),
            chunks=sum(len(one.passages) for one in versions) - len(kept) - removed,
            terms=learned - forgotten,
            index_threshold=self.index_threshold,
        )
        await self._release_files((one.stored, one.fields) for one in versions)
        if self.collection.second_model is not None and any(one.second is None for one in versions):
            await request_reembedding(self.session, self.tenant_id, self.collection.id)
        return published

    async def _replace_entries(self, fields: Mapping[uuid.UUID, Mapping[str, Any]], *, known: bool) -> None:
        entries = {document_id: list_entries(one["source"], one["meta"]) for document_id, one in fields.items()}
        if known or any(entries.values()):
            await queries.replace_entries(self.session, self.tenant_id, self.collection.id, entries)

    async def _insert_passages(self, versions: Sequence[DocumentVersion], published: Mapping[str, Published]) -> int:
        """Answers how many terms they have."""
        chunks: list[tuple[Any, ...]] = []
        embeddings: list[tuple[Any, ...]] = []
        passage_terms: list[tuple[Any, ...]] = []
        for one in versions:
            shared = (self.tenant_id, self.collection.id, published[one.key].id)
            own = ModelVectors(self.collection.model_id, one.vectors, one.codes)
            kinds = [kind.list_rows() for kind in (own, one.second) if kind is not None]
            fresh = [(number, passage) for number, passage in enumerate(one.passages) if number not in one.kept]
            for row, (ordinal, passage) in enumerate(fresh):
                chunk_id = new_id()
                digest = one.digests[row] if one.digests else None
                chunks.append((*shared, chunk_id, *to_chunk_row(ordinal, passage), digest))
                embeddings += [(*shared, chunk_id, *rows[row]) for rows in kinds]
                passage_terms.append((*shared, chunk_id, *to_terms_row(one.terms[row])))
        await passages.insert_chunks(self.session, chunks)
        await passages.insert_embeddings(self.session, embeddings)
        await terms.insert_passage_terms(self.session, passage_terms)
        learned = [one_terms for one in versions for one_terms in one.terms]
        await terms.note_terms(self.session, self.tenant_id, self.collection.id, count_passages(learned))
        return sum(one.length for one in learned)

    async def _release_files(self, changed: Iterable[tuple[StoredVersion | None, Mapping[str, Any]]]) -> None:
        left = {
            stored.file_id
            for stored, fields in changed
            if stored is not None and stored.file_id not in (None, fields.get("file_id"))
        }
        await FileService(self.session, self.tenant_id).release([one for one in left if one is not None])


def list_kept(
    versions: Sequence[DocumentVersion], published: Mapping[str, Published]
) -> Iterator[tuple[StoredPassage, int, Passage]]:
    """With the ordinal and the place that they have now."""
    for one in versions:
        if one.kept:
            now = published[one.key]
            if one.stored is None or (now.id, now.version) != (one.stored.id, one.stored.version + 1):
                raise Moved
            yield from ((stored, ordinal, one.passages[ordinal]) for ordinal, stored in one.kept.items())


__all__ = [
    "DocumentVersion",
    "ModelVectors",
    "Moved",
    "Passage",
    "Published",
    "Publisher",
    "RecordChange",
    "StoredVersion",
]
