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
from ragstore.embedding.provider import DIMENSIONS
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import InternalError, RagstoreError, Unavailable, Unprocessable

MOST_DOCUMENTS = 200
MOST_BYTES = 1_000_000  # of the content of a page as it is stored, unless one document alone has more
MOST_CHUNKS = 500
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)  # seconds before a page is tried again while the database is away

log = structlog.get_logger(__name__)
encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class VectorForm:
    """How vectors are written: of the model's `dimensions`, if they are known (not 0), and none in a document whose
    line would be longer than `longest_line` with them, which an import could not take.
    """

    dimensions: int = 0
    longest_line: int = 64 * 1024 * 1024

    def choose_width(self, vectors: Sequence[Any]) -> int:
        """One for all of a document, as an import wants it."""
        widest = max((len(np.trim_zeros(one, "b")) for one in vectors), default=0)
        if not self.dimensions:
            return max(widest, 1)
        return self.dimensions if widest <= self.dimensions else DIMENSIONS

    def fits(self, width: int, count: int, content: int) -> bool:
        return count * width * 16 // 3 + 4 * content < self.longest_line  # base64, and escapes of text


@dataclass(frozen=True)
class Export:
    """One that was begun: what is asked for was found. Documents stored from now on are left out."""

    database: TenantDatabase
    stopping: asyncio.Event
    header: ExportHeader
    handle: CollectionHandle
    until: uuid.UUID | None
    condition: Filter | None
    form: VectorForm

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
            await CollectionService(session, place.tenant_id).open_by_id(self.handle.id)
            sizes = await queries.list_sizes(session, place, self.condition, MOST_DOCUMENTS)
            ids = choose_page(sizes)
            if not ids:
                return [], None
            documents = await queries.read_documents(session, place.tenant_id, ids)
            model_id = self.handle.model_id if self.header.vectors else None
            chunks = await queries.read_chunks(session, place.tenant_id, ids, model_id)
        return await asyncio.to_thread(put_together, documents, chunks, self.form), ids[-1]


async def begin_export(
    database: TenantDatabase,
    stopping: asyncio.Event,
    collection: str,
    condition: Filter | None,
    *,
    vectors: bool,
    embedders: EmbedderRegistry,
) -> Export:
    """Raises NotFound for an unknown collection."""
    async with database.transaction(snapshot=True) as session:
        service = CollectionService(session, database.tenant_id)
        handle, found = await service.open(collection), await service.read(collection)
        until = await queries.find_last(session, database.tenant_id, handle.id)
    documents = found.document_count if condition is None else None
    header = ExportHeader(FORMAT, to_exported(found), vectors, documents, datetime.now(UTC))
    return Export(
        database, stopping, header, handle, until, condition, VectorForm(find_dimensions(embedders, handle.model))
    )


def find_dimensions(embedders: EmbedderRegistry, model: str) -> int:
    """0 for a model that is not known here, or has not answered yet."""
    try:
        return embedders.get(model).dimensions
    except Unprocessable:
        return 0


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


def put_together(documents: Sequence[Any], chunks: Sequence[Any], form: VectorForm) -> list[ExportedDocument]:
    of_document: dict[uuid.UUID, list[Any]] = {row["id"]: [] for row in documents}
    for row in chunks:
        of_document[row["document_id"]].append(row)
    return [
        ExportedDocument(
            row["key"],
            row["title"],
            row["source"],
            row["url"],
            as_it_is(row["metadata"]),
            row["content"],
            row["created_at"],
            write_chunks(of_document[row["id"]], len(row["content"]), form),
        )
        for row in documents
    ]


def write_chunks(rows: Sequence[Any], content: int, form: VectorForm) -> list[ExportedChunk]:
    vectors = [row["vector"] for row in rows if row.get("vector") is not None]
    width = form.choose_width(vectors)
    fits = form.fits(width, len(vectors), content)
    return [
        ExportedChunk(
            row["content"],
            row["start_offset"],
            row["end_offset"],
            as_it_is(row["metadata"]),
            encode_vector(row["vector"][:width]) if fits and row.get("vector") is not None else UNSET,
        )
        for row in rows
    ]


def as_it_is(json: str) -> dict[str, Any]:
    """Written as Postgres spells it: it may hold numbers that no Python does."""
    return msgspec.Raw(json.encode())  # type: ignore[return-value]  # encoded in the place of what it spells


def encode_vector(vector: Any) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def end_early(told: int, error: RagstoreError) -> bytes:
    return encode(ExportEnd(False, told, ExportFault(error.type(), error.detail))) + b"\n"
