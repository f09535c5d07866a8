import uuid
from dataclasses import dataclass, field, replace

from msgspec import UNSET

from ragstore.collection import queries
from ragstore.collection.indexing import crosses_threshold, name_index, request_index
from ragstore.collection.rules import (
    NAME,
    change_chunking,
    check_chunking,
    check_name,
    choose_chunking,
    list_changes,
    list_faults,
    refuse,
)
from ragstore.collection.schemas import (
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
from ragstore.file.service import FileService
from ragstore.job.service import JobService
from ragstore.paging import Page, decode_cursor, encode_cursor

LONGEST_MODEL = 200  # bytes


@dataclass(frozen=True)
class StoredModel:
    """An embedding model, by the tenant's number for it."""

    id: int
    name: str


@dataclass(frozen=True)
class CollectionHandle:
    """What other packages need to know of a collection to write into it or search it. `mean_length`, in terms, was
    true when it was read; 0 in an empty collection. Passages get vectors of `second_model` too; searches know of none.
    """

    id: uuid.UUID
    name: str
    model: str
    model_id: int
    chunking: Chunking
    language: str
    metric: Metric
    mean_length: float = field(default=0.0, compare=False)
    second_model: StoredModel | None = field(default=None, compare=False)


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
        row, model, _ = await self._find(name)
        return to_read(row, model)

    async def open(self, name: str) -> CollectionHandle:
        return to_handle(*await self._find(name))

    async def open_by_id(self, collection_id: uuid.UUID) -> CollectionHandle:
        """Whatever it is called by now."""
        found = await queries.find_collection_by_id(self.session, self.tenant_id, collection_id)
        if found is None:
            raise NotFound("The collection was deleted.")
        return to_handle(*found)

    async def list(self, cursor: str | None, limit: int) -> Page[CollectionRead]:
        """By name."""
        after = decode_cursor(cursor, CollectionName) if cursor else None
        rows = await queries.list_collections(self.session, self.tenant_id, after, limit + 1)
        items = [to_read(row, model) for row, model, _ in rows[:limit]]
        return Page(items, encode_cursor(items[-1].name) if len(rows) > limit else None)

    async def update(self, name: str, wanted: CollectionUpdate) -> CollectionRead:
        row, *_ = await self._find(name, lock=True)
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
        """What still wants to store documents in it is cancelled, and the files that stood behind it alone go too."""
        doomed = (await self._find(name))[0].id
        job_ids, file_ids = await JobService(self.session, self.tenant_id).cancel_filling(doomed)
        row, *_ = await self._find(name, lock=True)
        if row.id != doomed:
            raise Conflict("The collection was replaced by another at this moment; try again.", retry_after=1)
        files = FileService(self.session, self.tenant_id)
        file_ids = [*file_ids, *await files.list_ids_of_collection(row.id)]
        await queries.delete_collection(self.session, self.tenant_id, row.id)
        released = await files.release(file_ids, job_ids=job_ids)
        for model_id in (row.model_id, row.second_model_id):
            if model_id is not None:
                await drop_index(self.session, self.tenant_id, row.id, model_id)
        return CollectionDeleted(documents=row.document_count, chunks=row.chunk_count, files=released)

    async def read_index_choice(self, name: str) -> IndexChoice:
        row, *_ = await self._find(name)
        return IndexChoice(row.id, row.model_id, row.index_mode, row.chunk_count)

    async def choose_index(self, name: str, mode: str) -> IndexChoice:
        row, *_ = await self._find(name, lock=True)
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

    async def _find(self, name: str, *, lock: bool = False) -> queries.Found:
        known = NAME.fullmatch(name) is not None
        found = await queries.find_collection(self.session, self.tenant_id, name, lock=lock) if known else None
        if found is None:
            raise NotFound(f"There is no collection named {name!r}.")
        return found


async def drop_index(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, model_id: int) -> None:
    """When it is there, and nobody wants it by then."""
    if await queries.has_index(session, name_index(tenant_id, collection_id, model_id)):
        await request_index(session, tenant_id, collection_id, model_id)


def to_handle(row: Collection, model: str, second: str | None) -> CollectionHandle:
    return CollectionHandle(
        row.id,
        row.name,
        model,
        row.model_id,
        read_chunking(row),
        row.language,
        row.metric,  # type: ignore[arg-type]  # the table has a check
        row.term_total / row.chunk_count if row.chunk_count else 0.0,
        StoredModel(row.second_model_id, second) if row.second_model_id is not None and second is not None else None,
    )


def name_taken(name: str) -> Conflict:
    return Conflict(f"There is a collection named {name!r} already.", errors=(FieldError("name", "is taken"),))


def with_chunking(handle: CollectionHandle, wanted: ChunkingUpdate) -> CollectionHandle:
    """The collection as if it had that rule. Raises Unprocessable for one that cannot be."""
    chunking = change_chunking(handle.chunking, wanted)
    if faults := check_chunking(chunking):
        raise Unprocessable("The chunking rule is not valid.", errors=tuple(faults))
    return replace(handle, chunking=chunking)


def read_chunking(row: Collection) -> Chunking:
    return Chunking(row.chunk_size, row.chunk_overlap, row.chunk_strategy, row.chunk_prefix)  # type: ignore[arg-type]  # the table has checks


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
