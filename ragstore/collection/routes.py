from typing import Annotated

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ragstore.collection.schemas import CollectionCreate, CollectionDeleted, CollectionRead, CollectionUpdate
from ragstore.collection.service import CollectionService
from ragstore.database import TenantDatabase
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.idempotency.service import Recorder
from ragstore.paging import DEFAULT_LIMIT, LARGEST_LIMIT, Page
from ragstore.tenant.guard import READ, WRITE


@post("/", opt=WRITE)
async def create_collection(
    data: JSONBody[CollectionCreate],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
    embedders: NamedDependency[EmbedderRegistry],
) -> CollectionRead:
    async with tenant_database.transaction() as session:
        done = await CollectionService(session, tenant_database.tenant_id).create(data, embedders)
        return await recorder.answer(session, done)


@get("/", opt=READ)
async def list_collections(
    tenant_database: NamedDependency[TenantDatabase],
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LARGEST_LIMIT)] = DEFAULT_LIMIT,
) -> Page[CollectionRead]:
    async with tenant_database.transaction() as session:
        return await CollectionService(session, tenant_database.tenant_id).list(cursor, limit)


@get("/{name:str}", opt=READ)
async def read_collection(name: FromPath[str], tenant_database: NamedDependency[TenantDatabase]) -> CollectionRead:
    async with tenant_database.transaction() as session:
        return await CollectionService(session, tenant_database.tenant_id).read(name)


@patch("/{name:str}", opt=WRITE)
async def update_collection(
    name: FromPath[str],
    data: JSONBody[CollectionUpdate],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> CollectionRead:
    async with tenant_database.transaction() as session:
        done = await CollectionService(session, tenant_database.tenant_id).update(name, data)
        return await recorder.answer(session, done)


@delete("/{name:str}", opt=WRITE, status_code=200)
async def delete_collection(
    name: FromPath[str], tenant_database: NamedDependency[TenantDatabase], recorder: NamedDependency[Recorder]
) -> CollectionDeleted:
    """With its documents; answers what was removed."""
    async with tenant_database.transaction() as session:
        done = await CollectionService(session, tenant_database.tenant_id).delete(name)
        return await recorder.answer(session, done)


router = Router(
    "/collections",
    route_handlers=[create_collection, list_collections, read_collection, update_collection, delete_collection],
    tags=["collections"],
)
