import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET, structs

from ragstore.collection import queries
from ragstore.collection.indexing import crosses_threshold, name_index, request_index
from ragstore.collection.schemas import (
    NAME_PATTERN,
    Chunking,
    ChunkingUpdate,
    CollectionCreate,
    CollectionDeleted,
    CollectionName,
    CollectionRead,
    CollectionUpdate,
    Metric,
)
from ragstore.collection.tables import Collection
from ragstore.database import AsyncSession
from ragstore.embedding.codes import CODE_VERSION
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import Conflict, FieldError, NotFound, Unprocessable
from ragstore.failpoints import Failpoint, failpoint
from ragstore.fields import check_metadata, check_text
from ragstore.paging import Page, decode_cursor, encode_cursor

NAME = re.compile(NAME_PATTERN)
LONGEST_MODEL = 200  # bytes


@dataclass(frozen=True)
class CollectionHandle:
    """What other packages need to know of a collection to write into it or search it. `mean_length`, in terms, was
    true when it was read; 0 in an empty collection.
    """

    id: uuid.UUID
    name: str
    model: str
    model_id: int
    chunking: Chunking
    language: str
    metric: Metric
    mean_length: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class IndexChoice:
    """What decides whether the collection is to have an index on its codes."""

    collection_id: uuid.UUID
    model_id: int
    mode: str
    chunks: int


@dataclass(frozen=True)
class CollectionService:
    """Named sets of documents. Raises NotFound for a name the tenant does not have."""

    session: AsyncSession
    tenant_id: uuid.UUID

    async def create(self, wanted: CollectionCreate, embedders: EmbedderRegistry) -> CollectionRead:
        """Raises Conflict when the name is taken, Unprocessable for a model the service cannot use."""
        chunking = choose_chunking(wanted.chunking)
        refuse(
            [
                *check_name(wanted.name),
                *check_text("title", wanted.title),
                *check_text("embedding_model", wanted.embedding_model, longest=LONGEST_MODEL),
                *check_chunking(chunking),
                *check_metadata("metadata", wanted.metadata),
            ]
        )
        model = wanted.embedding_model or embedders.default_model
        embedders.get(model)
        if await queries.find_collection(self.session, self.tenant_id, wanted.name) is not None:
            raise name_taken(wanted.name)
        row = Collection(
            tenant_id=self.tenant_id,
            name=wanted.name,
            title=wanted.title,
            model_id=await queries.ensure_model(self.session, self.tenant_id, model, CODE_VERSION),
            chunk_size=chunking.size,
            chunk_overlap=chunking.overlap,
            chunk_strategy=chunking.strategy,
            chunk_prefix=chunking.prefix,
            language=wanted.language,
            metric=wanted.metric,
            meta=wanted.metadata,
        )
        self.session.add(row)
        await self.session.flush()
        return await self.read(wanted.name)

    async def read(self, name: str) -> CollectionRead:
        row, model = await self._find(name)
        return to_read(row, model)

    async def open(self, name: str) -> CollectionHandle:
        row, model = await self._find(name)
        return to_handle(row, model)

    async def list(self, cursor: str | None, limit: int) -> Page[CollectionRead]:
        """By name."""
        after = decode_cursor(cursor, CollectionName) if cursor else None
        rows = await queries.list_collections(self.session, self.tenant_id, after, limit + 1)
        items = [to_read(row, model) for row, model in rows[:limit]]
        return Page(items, encode_cursor(items[-1].name) if len(rows) > limit else None)

    async def update(self, name: str, wanted: CollectionUpdate) -> CollectionRead:
        row, _ = await self._find(name, lock=True)
        stored = read_chunking(row)
        refuse(list_faults(wanted, stored))
        if wanted.name is not UNSET and wanted.name != name:
            if await queries.find_collection(self.session, self.tenant_id, wanted.name) is not None:
                raise name_taken(wanted.name)
            name = wanted.name
        if changes := list_changes(wanted, stored):
            await queries.update_collection(self.session, self.tenant_id, row.id, changes)
            await self.session.refresh(row)
        return await self.read(name)

    async def delete(self, name: str) -> CollectionDeleted:
        row, _ = await self._find(name, lock=True)
        await queries.delete_collection(self.session, self.tenant_id, row.id)
        if await queries.has_index(self.session, name_index(self.tenant_id, row.id, row.model_id)):
            await request_index(self.session, self.tenant_id, row.id, row.model_id)
        return CollectionDeleted(documents=row.document_count, chunks=row.chunk_count)

    async def read_index_choice(self, name: str) -> IndexChoice:
        row, _ = await self._find(name)
        return IndexChoice(row.id, row.model_id, row.index_mode, row.chunk_count)

    async def choose_index(self, name: str, mode: str) -> IndexChoice:
        row, _ = await self._find(name, lock=True)
        if row.index_mode != mode:
            await queries.update_collection(self.session, self.tenant_id, row.id, {"index_mode": mode})
            await self.session.refresh(row)
        return IndexChoice(row.id, row.model_id, row.index_mode, row.chunk_count)

    async def count_in(
        self,
        collection_id: uuid.UUID,
        *,
        documents: int,
        chunks: int,
        terms: int,
        index_threshold: int | None = None,
    ) -> None:
        """Call last before the commit: other writers of the collection wait from here on. Chunks that make it reach
        `index_threshold` ask for its index.
        """
        if not (documents or chunks or terms):
            return
        counted = await queries.count_in(
            self.session, self.tenant_id, collection_id, documents=documents, chunks=chunks, terms=terms
        )
        failpoint(Failpoint.COUNTED)
        if counted is None or index_threshold is None:
            return
        now: int = counted.chunk_count
        if counted.index_mode == "auto" and crosses_threshold(now - chunks, now, index_threshold):
            await request_index(self.session, self.tenant_id, collection_id, counted.model_id)

    async def _find(self, name: str, *, lock: bool = False) -> tuple[Collection, str]:
        known = NAME.fullmatch(name) is not None
        found = await queries.find_collection(self.session, self.tenant_id, name, lock=lock) if known else None
        if found is None:
            raise NotFound(f"There is no collection named {name!r}.")
        row, model = found
        return row, model


def to_handle(row: Collection, model: str) -> CollectionHandle:
    return CollectionHandle(
        row.id,
        row.name,
        model,
        row.model_id,
        read_chunking(row),
        row.language,
        row.metric,  # type: ignore[arg-type]  # the table has a check
        row.term_total / row.chunk_count if row.chunk_count else 0.0,
    )


def name_taken(name: str) -> Conflict:
    return Conflict(f"There is a collection named {name!r} already.", errors=(FieldError("name", "is taken"),))


def choose_chunking(wanted: ChunkingUpdate) -> Chunking:
    size = Chunking().size if wanted.size is UNSET else wanted.size
    return change_chunking(Chunking(size, min(Chunking().overlap, size // 8)), wanted)


def change_chunking(stored: Chunking, wanted: ChunkingUpdate) -> Chunking:
    given = {name: value for name, value in structs.asdict(wanted).items() if value is not UNSET}
    return structs.replace(stored, **given)


def read_chunking(row: Collection) -> Chunking:
    return Chunking(row.chunk_size, row.chunk_overlap, row.chunk_strategy, row.chunk_prefix)  # type: ignore[arg-type]  # the table has checks


def check_name(name: str) -> "list[FieldError]":
    """msgspec's pattern lets a newline at the end pass."""
    return [] if NAME.fullmatch(name) else [FieldError("name", "must be letters, digits, `.`, `_` and `-` only")]


def check_chunking(chunking: Chunking) -> "list[FieldError]":
    if chunking.overlap < chunking.size:
        return []
    return [FieldError("chunking.overlap", f"must be less than chunking.size, {chunking.size}")]


def list_faults(wanted: CollectionUpdate, stored: Chunking) -> "list[FieldError]":
    faults: list[FieldError] = []
    if wanted.name is not UNSET:
        faults += check_name(wanted.name)
    if wanted.title is not UNSET:
        faults += check_text("title", wanted.title)
    if wanted.chunking is not UNSET:
        faults += check_chunking(change_chunking(stored, wanted.chunking))
    if wanted.metadata is not UNSET:
        faults += check_metadata("metadata", wanted.metadata)
    return faults


def list_changes(wanted: CollectionUpdate, stored: Chunking) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if wanted.name is not UNSET:
        changes["name"] = wanted.name
    if wanted.title is not UNSET:
        changes["title"] = wanted.title
    if wanted.metadata is not UNSET:
        changes["meta"] = wanted.metadata
    if wanted.chunking is not UNSET:
        chunking = change_chunking(stored, wanted.chunking)
        changes |= {f"chunk_{name}": value for name, value in structs.asdict(chunking).items()}
    return changes


def refuse(faults: "list[FieldError]") -> None:
    if faults:
        raise Unprocessable("The collection is not valid.", errors=tuple(faults))


def to_read(row: Collection, model: str) -> CollectionRead:
    return CollectionRead(
        id=row.id,
        name=row.name,
        title=row.title,
        embedding_model=model,
        chunking=read_chunking(row),
        language=row.language,
        metric=row.metric,  # type: ignore[arg-type]  # as above
        metadata=row.meta,
        document_count=row.document_count,
        chunk_count=row.chunk_count,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
