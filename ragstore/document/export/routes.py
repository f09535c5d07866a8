import asyncio
from typing import Annotated

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from ragstore.database import TenantDatabase
from ragstore.document.export.service import begin_export
from ragstore.document.routes import read_filter
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.tenant.guard import READ

VECTORS = "With the vector of each passage: a copy then needs no model to be made."


@get("/", opt=READ, media_type="application/x-ndjson")
async def export_collection(
    collection: FromPath[str],
    tenant_database: NamedDependency[TenantDatabase],
    stopping: NamedDependency[asyncio.Event],
    embedders: NamedDependency[EmbedderRegistry],
    vectors: Annotated[bool, QueryParameter(description=VECTORS)] = True,
    filter: Annotated[str | None, QueryParameter(description="A filter as JSON text.")] = None,
) -> Stream:
    """A header, a document a line in the order they were first stored, and a last line that says all was sent."""
    condition = read_filter(filter)
    export = await begin_export(tenant_database, stopping, collection, condition, vectors=vectors, embedders=embedders)
    return Stream(export.lines(), media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})


router = Router("/collections/{collection:str}/export", route_handlers=[export_collection], tags=["collections"])
