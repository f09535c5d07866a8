"""A collection read from end to end, a page of documents at a time."""

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import structlog
from msgspec import UNSET

from ragstore.collection.schemas import CollectionRead
from ragstore.collection.service import CollectionHandle, CollectionService
from ragstore.database import TenantDatabase
from ragstore.document.export import queries
from ragstore.document.export.queries import Place
from ragstore.document.export.schemas import (
    FORMAT,
    ExportedChunk,
    ExportedCollection,
    ExportedDocument,
    ExportEnd,
    ExportFault,
    ExportHeader,
)
from ragstore.document.filters import Filter
from ragstore.errors import InternalError, NotFound, RagstoreError, Unavailable

MOST_DOCUMENTS = 200
MOST_BYTES = 1_000_000  # of the content of a page as it is stored, unless one document alone has more
MOST_CHUNKS = 500
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)  # seconds before a page is tried again while the database is away

log = structlog.get_logger(__name__)
encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Export:
    """One that was begun: what is asked for was found. Documents stored from now on are left out."""

    database: TenantDatabase
    stopping: asyncio.Event
    header: ExportHeader
    handle: CollectionHandle
    until: uuid.UUID | None
    condition: Filter | None

    async def lines(self) -> AsyncIterator[bytes]:
        """Pieces of whole lines. Each page is read in a transaction of its own, which is over before the page is
        given out: however slowly it is taken, nothing is held. A fault is told in the last line.
        """
        yield encode(self.header) + b"\n"
        told, after = 0, None
        try:
            while self.until is not None:
                documents, last = await self._read_patiently(Place(*self._where, after, self.until))
                if last is None:
                    break
                yield b"".join([encode(one) + b"\n" for one in documents])
                told, after = told + len(documents), last
        except RagstoreError as error:
            yield end_early(told, error)
        except Exception as error:
            log.error("an export failed", error=type(error).__name__, exc_info=error)
            yield end_early(told, InternalError())
        else:
            yield encode(ExportEnd(True, told)) + b"\n"

    @property
    def _where(self) -> tuple[uuid.UUID, uuid.UUID]:
        return self.database.tenant_id, self.handle.id

    async def _read_patiently(self, place: Place) -> tuple[list[ExportedDocument], uuid.UUID | None]:
        for pause in (*PAUSES, None):
            if self.stopping.is_set():
                raise Unavailable("The service is stopping.")
            try:
                return await self._read(place)
            except Unavailable:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _read(self, place: Place) -> tuple[list[ExportedDocument], uuid.UUID | None]:
        """A page, and the last document looked at; None at the end."""
        async with self.database.transaction(snapshot=True) as session:
            # A collection that was deleted, and perhaps made again, is not one that ended.
            now = await CollectionService(session, place.tenant_id).open(self.handle.name)
            if now.id != self.handle.id:
                raise NotFound(f"The collection {self.handle.name!r} was deleted.")
            sizes = await queries.list_sizes(session, place, self.condition, MOST_DOCUMENTS)
            ids = choose_page(sizes)
            if not ids:
                return [], None
            documents = await queries.read_documents(session, place.tenant_id, ids)
            model_id = self.handle.model_id if self.header.vectors else None
            chunks = await queries.read_chunks(session, place.tenant_id, ids, model_id)
        return await asyncio.to_thread(put_together, documents, chunks, self.header.vectors), ids[-1]


async def begin_export(
    database: TenantDatabase, stopping: asyncio.Event, collection: str, condition: Filter | None, *, vectors: bool
) -> Export:
    """Raises NotFound for an unknown collection."""
    async with database.transaction(snapshot=True) as session:
        service = CollectionService(session, database.tenant_id)
        handle, found = await service.open(collection), await service.read(collection)
        until = await queries.find_last(session, database.tenant_id, handle.id)
    documents = found.document_count if condition is None else None
    header = ExportHeader(FORMAT, to_exported(found), vectors, documents, datetime.now(UTC))
    return Export(database, stopping, header, handle, until, condition)


def to_exported(found: CollectionRead) -> ExportedCollection:
    return ExportedCollection(
        found.name,
        found.title,
        found.embedding_model,
        found.chunking,
        found.language,
        found.metric,
        found.metadata,
    )


def choose_page(sizes: Sequence[tuple[uuid.UUID, int, int]]) -> list[uuid.UUID]:
    """As many as fit, and at least one."""
    ids: list[uuid.UUID] = []
    space, room = MOST_BYTES, MOST_CHUNKS
    for id_, size, chunks in sizes:
        space, room = space - size, room - chunks
        if ids and (space < 0 or room < 0):
            break
        ids.append(id_)
    return ids


def put_together(documents: Sequence[Any], chunks: Sequence[Any], vectors: bool) -> list[ExportedDocument]:
    of_document: dict[uuid.UUID, list[ExportedChunk]] = {row["id"]: [] for row in documents}
    for row in chunks:
        vector = encode_vector(row["vector"]) if vectors and row["vector"] is not None else UNSET
        meta = as_it_is(row["metadata"])
        one = ExportedChunk(row["content"], row["start_offset"], row["end_offset"], meta, vector)
        of_document[row["document_id"]].append(one)
    return [
        ExportedDocument(
            row["key"],
            row["title"],
            row["source"],
            row["url"],
            as_it_is(row["metadata"]),
            row["content"],
            row["created_at"],
            of_document[row["id"]],
        )
        for row in documents
    ]


def as_it_is(json: str) -> dict[str, Any]:
    """Written as Postgres spells it: it may hold numbers that no Python does."""
    return msgspec.Raw(json.encode())  # type: ignore[return-value]  # encoded in the place of what it spells


def encode_vector(vector: Any) -> str:
    """Without the zeros that fill it up to the width of the column."""
    return base64.b64encode(np.trim_zeros(vector, "b").astype("<f4").tobytes()).decode()


def end_early(told: int, error: RagstoreError) -> bytes:
    return encode(ExportEnd(False, told, ExportFault(error.type(), error.detail))) + b"\n"
