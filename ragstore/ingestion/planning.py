"""What is to be done with each document: compared with what is stored under its key, without reading any content."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragstore.collection.schemas import Chunking, ChunkingUpdate
from ragstore.collection.service import CollectionHandle, CollectionService, with_chunking
from ragstore.columns import new_id
from ragstore.database import TenantDatabase
from ragstore.document.digests import digest_content, digest_record
from ragstore.document.publishing import Publisher, StoredVersion
from ragstore.embedding.provider import DIMENSIONS
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import FieldError
from ragstore.ingestion.chunking import find_too_long
from ragstore.ingestion.origins import Origin
from ragstore.ingestion.ready import Ready
from ragstore.ingestion.schemas import DocumentUpsert, Status
from ragstore.ingestion.validation import Checked


@dataclass
class Candidate:
    """A good document on its way, and what is stored under its key."""

    index: int
    id: uuid.UUID
    document: DocumentUpsert
    content: str
    ready: Ready | None
    origin: Origin | None
    content_digest: bytes
    record_digest: bytes
    stored: StoredVersion | None = None
    chunk_count: int = 0  # once it is cut

    @property
    def key(self) -> str:
        """The caller's, or else the id that a new document will have."""
        return self.document.key if self.document.key is not None else str(self.id)

    @property
    def status(self) -> Status:
        if self.stored is None:
            return "created"
        unchanged = self.same_content and self.stored.record_digest == self.record_digest
        return "unchanged" if unchanged else "updated"

    @property
    def same_content(self) -> bool:
        return self.stored is not None and self.stored.content_digest == self.content_digest

    @property
    def fields(self) -> dict[str, Any]:
        one = self.document
        file_id = None if self.origin is None else self.origin.file_id
        return {"title": one.title, "source": one.source, "url": one.url, "meta": one.metadata, "file_id": file_id}


@dataclass(frozen=True)
class Plan:
    """`refused`, by index: documents that the collection's rule does not take."""

    handle: CollectionHandle
    candidates: Sequence[Candidate]
    refused: Mapping[int, Checked]


async def make_plan(
    database: TenantDatabase,
    collection: str | uuid.UUID,
    good: Mapping[int, Checked],
    chunking: ChunkingUpdate | None,
    origins: Mapping[int, Origin],
    embedders: EmbedderRegistry,
) -> Plan:
    """Raises NotFound for an unknown collection and Unprocessable for a chunking that does not fit its own."""
    async with database.transaction() as session:
        collections = CollectionService(session, database.tenant_id)
        if isinstance(collection, uuid.UUID):
            handle = await collections.open_by_id(collection)
        else:
            handle = await collections.open(collection)
        if chunking is not None:
            handle = with_chunking(handle, chunking)
        keys = [one.key for one in good.values() if one.key is not None]
        stored = await Publisher(session, database.tenant_id, handle).find_stored(keys) if keys else {}
    candidates = await asyncio.to_thread(make_candidates, good, handle.chunking, origins)
    for one in candidates:
        one.stored = stored.get(one.key)
    refused = await asyncio.to_thread(refuse_too_long, candidates, handle.chunking)
    refused |= refuse_widths(candidates, embedders.get(handle.model).dimensions)
    return Plan(handle, [one for one in candidates if one.index not in refused], refused)


def refuse_too_long(candidates: Sequence[Candidate], chunking: Chunking) -> dict[int, Checked]:
    """Of documents that are to be one passage."""
    fresh = [one for one in candidates if one.ready is None and not one.same_content]
    found = find_too_long([one.content for one in fresh], chunking)
    refused = {}
    for place, message in found.items():
        one = fresh[place]
        refused[one.index] = Checked(one.document.key, None, [FieldError(f"documents[{one.index}].content", message)])
    return refused


def refuse_widths(candidates: Sequence[Candidate], dimensions: int) -> dict[int, Checked]:
    """Ready vectors that are not as wide as the model's; 0 is not known yet."""
    refused = {}
    for one in candidates:
        widths = {} if one.ready is None else {place: len(vector) for place, vector in one.ready.vectors.items()}
        wrong = next((place for place, width in widths.items() if width not in (dimensions, DIMENSIONS)), None)
        if dimensions and wrong is not None:
            path = f"documents[{one.index}]" + (f".chunks[{wrong}]" if one.document.chunks is not None else "")
            message = f"must have {dimensions} or {DIMENSIONS} dimensions, has {widths[wrong]}"
            refused[one.index] = Checked(one.document.key, None, [FieldError(f"{path}.vector", message)])
    return refused


def make_candidates(good: Mapping[int, Checked], chunking: Chunking, origins: Mapping[int, Origin]) -> list[Candidate]:
    return [to_candidate(index, one, chunking, origins.get(index)) for index, one in good.items()]


def to_candidate(index: int, checked: Checked, chunking: Chunking, origin: Origin | None) -> Candidate:
    document, ready = checked.document, checked.ready
    if document is None:
        raise ValueError("a document that is not good is no candidate")
    outline = None if origin is None or ready is not None else [list(origin.page_starts), origin.markdown]
    return Candidate(
        index,
        new_id(),
        document,
        checked.content,
        ready,
        origin,
        digest_content(
            checked.content,
            document.title,
            chunking,
            outline=outline,
            ready=None if ready is None else list(zip(ready.places, ready.metadata, strict=True)),
            vectors=None if ready is None else ready.vectors,
        ),
        digest_record(document.source, document.url, document.metadata, from_file=origin is not None),
    )
