from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Router, delete, get, patch
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ragstore.database import TenantDatabase
from ragstore.document.filters import Every, Filter, parse_filter
from ragstore.document.schemas import ChunkRead, DocumentRead, DocumentsDeleted, DocumentUpdate
from ragstore.document.service import DocumentService
from ragstore.errors import FieldError, InvalidFilter, InvalidRequest
from ragstore.idempotency.service import Recorder
from ragstore.paging import DEFAULT_LIMIT, LARGEST_LIMIT, Page
from ragstore.tenant.guard import READ, WRITE


def read_filter(text: str | None) -> Filter | None:
    if text is None:
        return None
    try:
        tree = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise InvalidFilter("filter must be JSON.", errors=(FieldError("filter", "must be JSON"),)) from None
    return parse_filter(tree)


@get("/", opt=READ)
async def list_documents(
    collection: FromPath[str],
    tenant_database: NamedDependency[TenantDatabase],
    key: FromQuery[str | None] = None,
    filter: Annotated[str | None, QueryParameter(description="A filter as JSON text.")] = None,
    include: Annotated[Literal["content"] | None, QueryParameter(description="`content` of each document.")] = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LARGEST_LIMIT)] = DEFAULT_LIMIT,
) -> Page[DocumentRead]:
    """In the order they were first stored; `key` finds the one with that key."""
    condition = read_filter(filter)
    async with tenant_database.transaction() as session:
        return await DocumentService(session, tenant_database.tenant_id).list(
            collection, key=key, condition=condition, cursor=cursor, limit=limit, with_content=include == "content"
        )


@get("/{document_id:uuid}", opt=READ)
async def read_document(
    collection: FromPath[str], document_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase]
) -> DocumentRead:
    async with tenant_database.transaction() as session:
        return await DocumentService(session, tenant_database.tenant_id).read(collection, document_id)


@patch("/{document_id:uuid}", opt=WRITE)
async def update_document(
    collection: FromPath[str],
    document_id: FromPath[UUID],
    data: JSONBody[DocumentUpdate],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> DocumentRead:
    """Changes what is not embedded; `metadata` is merged, a key set to null is removed."""
    async with tenant_database.transaction() as session:
        done = await DocumentService(session, tenant_database.tenant_id).update(collection, document_id, data)
        return await recorder.answer(session, done)


@delete("/{document_id:uuid}", opt=WRITE)
async def delete_document(
    collection: FromPath[str],
    document_id: FromPath[UUID],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> None:
    async with tenant_database.transaction() as session:
        await DocumentService(session, tenant_database.tenant_id).delete(collection, document_id)
        await recorder.answer(session, None)


@delete("/", opt=WRITE, status_code=200)
async def delete_documents(
    collection: FromPath[str],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
    key: FromQuery[str | None] = None,
    filter: Annotated[str | None, QueryParameter(description="A filter as JSON text.")] = None,
) -> DocumentsDeleted:
    """The one with `key`, or all that match `filter`; answers how many there were."""
    if key is None and filter is None:
        raise InvalidRequest(
            "Say which: key or filter.", errors=(FieldError("key", "must be there, or filter in its place"),)
        )
    condition = read_filter(filter)
    if condition == Every(()):
        message = "must say something: an empty filter matches every document"
        raise InvalidFilter(f"filter {message}.", errors=(FieldError("filter", message),))
    async with tenant_database.transaction() as session:
        done = await DocumentService(session, tenant_database.tenant_id).delete_matching(collection, key, condition)
        return await recorder.answer(session, done)


@get("/{document_id:uuid}/chunks", opt=READ)
async def list_chunks(
    collection: FromPath[str],
    document_id: FromPath[UUID],
    tenant_database: NamedDependency[TenantDatabase],
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LARGEST_LIMIT)] = DEFAULT_LIMIT,
) -> Page[ChunkRead]:
    """In the order they stand in the document."""
    async with tenant_database.transaction() as session:
        return await DocumentService(session, tenant_database.tenant_id).list_chunks(
            collection, document_id, cursor, limit
        )


router = Router(
    "/collections/{collection:str}/documents",
    route_handlers=[
        list_documents,
        read_document,
        update_document,
        delete_document,
        delete_documents,
        list_chunks,
    ],
    tags=["documents"],
)
