import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import UNSET, Meta, structs

from ragstore.collection.service import CollectionHandle, CollectionService
from ragstore.database import AsyncSession
from ragstore.document import queries
from ragstore.document.accepted.service import settle_keys
from ragstore.document.digests import digest_record
from ragstore.document.entries import list_entries
from ragstore.document.filters import Filter
from ragstore.document.passages.queries import list_chunks
from ragstore.document.schemas import ChunkRead, DocumentRead, DocumentsDeleted, DocumentUpdate
from ragstore.document.tables import Chunk, Document
from ragstore.document.terms.queries import forget_terms
from ragstore.document.tidying import request_tidying
from ragstore.errors import FieldError, InvalidDocument, NotFound
from ragstore.fields import check_key, check_metadata, check_text
from ragstore.file.service import FileService
from ragstore.paging import Page, decode_cursor, encode_cursor

Ordinal = Annotated[int, Meta(ge=0, le=2**31 - 1)]


@dataclass(frozen=True)
class DocumentService:
    """Documents as they are stored. Raises NotFound for a collection or document the tenant does not have."""

    session: AsyncSession
    tenant_id: uuid.UUID

    async def list(
        self,
        collection: str,
        *,
        key: str | None,
        condition: Filter | None,
        cursor: str | None,
        limit: int,
        with_content: bool,
    ) -> Page[DocumentRead]:
        """In the order they were first stored."""
        refuse(list(check_key("key", key)))
        handle = await self._open(collection)
        after = decode_cursor(cursor, uuid.UUID) if cursor else None
        rows = await queries.list_documents(
            self.session,
            self.tenant_id,
            handle.id,
            key=key,
            condition=condition,
            after=after,
            limit=limit + 1,
            with_content=with_content,
        )
        items = [to_read(row, with_content=with_content) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def read(self, collection: str, document_id: uuid.UUID) -> DocumentRead:
        handle = await self._open(collection)
        return to_read(await self._find(handle, document_id), with_content=True)

    async def update(self, collection: str, document_id: uuid.UUID, wanted: DocumentUpdate) -> DocumentRead:
        handle = await self._open(collection)
        refuse(list_faults(wanted))
        row = await self._find(handle, document_id, lock=True)
        changes = list_changes(row, wanted)
        if changes:
            record = {"source": row.source, "url": row.url, "meta": row.meta} | changes
            changes["record_digest"] = digest_record(
                record["source"], record["url"], record["meta"], from_file=row.file_id is not None
            )
            await queries.update_document(self.session, self.tenant_id, document_id, changes)
            entries = {document_id: list_entries(record["source"], record["meta"])}
            await queries.replace_entries(self.session, self.tenant_id, handle.id, entries)
            await self.session.refresh(row)
        return to_read(row, with_content=True)

    async def delete(self, collection: str, document_id: uuid.UUID) -> None:
        if not (await self._delete(collection, document_id=document_id)).deleted:
            raise document_missing(document_id)

    async def delete_matching(self, collection: str, key: str | None, condition: Filter | None) -> DocumentsDeleted:
        refuse(list(check_key("key", key)))
        return await self._delete(collection, key=key, condition=condition)

    async def _delete(self, collection: str, **which: Any) -> DocumentsDeleted:
        handle = await self._open(collection)
        # Before the documents are locked, as whoever stores them does. What is accepted and not stored yet has no row.
        named = which.get("key") is not None and which.get("condition") is None
        keys = [which["key"]] if named else await queries.list_matching_keys(
            self.session, self.tenant_id, handle.id, **which
        )  # fmt: skip
        await settle_keys(self.session, self.tenant_id, handle.id, keys, None)
        doomed = await queries.lock_matching(self.session, self.tenant_id, handle.id, **which)
        if not doomed:
            return DocumentsDeleted(deleted=0)
        terms = await forget_terms(self.session, self.tenant_id, handle.id, doomed)
        gone = await queries.delete_documents(self.session, self.tenant_id, doomed)
        documents, chunks = len(gone), sum(one.chunk_count for one in gone)
        late = {one.key for one in gone} - set(keys)  # stored since they were looked for
        await settle_keys(self.session, self.tenant_id, handle.id, sorted(late), None)
        await CollectionService(self.session, self.tenant_id).count_in(
            handle.id, documents=-documents, chunks=-chunks, terms=-terms
        )
        file_ids = {one.file_id for one in gone if one.file_id is not None}
        released = await FileService(self.session, self.tenant_id).release(list(file_ids))
        if chunks:
            await request_tidying(self.session, self.tenant_id, handle.id)
        return DocumentsDeleted(deleted=documents, chunks=chunks, files=released)

    async def list_chunks(
        self, collection: str, document_id: uuid.UUID, cursor: str | None, limit: int
    ) -> Page[ChunkRead]:
        """In the order they stand in the document."""
        handle = await self._open(collection)
        await self._find(handle, document_id)
        after = decode_cursor(cursor, Ordinal) if cursor else None
        rows = await list_chunks(self.session, self.tenant_id, document_id, after, limit + 1)
        items = [to_chunk(row) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].ordinal) if len(rows) > limit else None)

    async def _open(self, collection: str) -> CollectionHandle:
        return await CollectionService(self.session, self.tenant_id).open(collection)

    async def _find(self, handle: CollectionHandle, document_id: uuid.UUID, *, lock: bool = False) -> Document:
        row = await queries.find_document(self.session, self.tenant_id, handle.id, document_id, lock=lock)
        if row is None:
            raise document_missing(document_id)
        return row


def document_missing(document_id: uuid.UUID) -> NotFound:
    return NotFound(f"There is no document {document_id} in this collection.")


def list_faults(wanted: DocumentUpdate) -> Sequence[FieldError]:
    given = {name: value for name, value in structs.asdict(wanted).items() if value is not UNSET}
    return [
        *check_text("source", given.get("source")),
        *check_text("url", given.get("url")),
        *check_metadata("metadata", given.get("metadata")),
    ]


def list_changes(row: Document, wanted: DocumentUpdate) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if wanted.source is not UNSET and wanted.source != row.source:
        changes["source"] = wanted.source
    if wanted.url is not UNSET and wanted.url != row.url:
        changes["url"] = wanted.url
    if wanted.metadata is not UNSET:
        merged = merge_metadata(row.meta, wanted.metadata)
        refuse(list(check_metadata("metadata", merged)))
        if merged != row.meta:
            changes["meta"] = merged
    return changes


def merge_metadata(stored: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """JSON merge patch (RFC 7396): null removes, objects merge, all else replaces."""
    merged = dict(stored)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            inside = merged.get(key)
            merged[key] = merge_metadata(inside if isinstance(inside, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def refuse(faults: Sequence[FieldError]) -> None:
    if faults:
        raise InvalidDocument(errors=tuple(faults))


def to_read(row: Document, *, with_content: bool) -> DocumentRead:
    return DocumentRead(
        id=row.id,
        key=row.key,
        title=row.title,
        source=row.source,
        url=row.url,
        metadata=row.meta,
        version=row.version,
        chunk_count=row.chunk_count,
        file_id=row.file_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        content=row.content if with_content else UNSET,
    )


def to_chunk(row: Chunk) -> ChunkRead:
    return ChunkRead(row.id, row.ordinal, row.content, row.start_offset, row.end_offset, row.token_count, row.meta)
