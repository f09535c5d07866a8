from litestar import Router, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from ragstore.database import TenantDatabase
from ragstore.idempotency.service import Recorder
from ragstore.index.schemas import IndexRead, IndexUpdate
from ragstore.index.service import IndexService
from ragstore.tenant.guard import READ, WRITE


@get("/", opt=READ)
async def read_index(
    name: FromPath[str], tenant_database: NamedDependency[TenantDatabase], index_threshold: NamedDependency[int]
) -> IndexRead:
    """Whether the collection's codes have an index of their own, or how far its build is."""
    async with tenant_database.transaction() as session:
        return await IndexService(session, tenant_database.tenant_id, index_threshold).read(name)


@put("/", opt=WRITE)
async def set_index_mode(
    name: FromPath[str],
    data: JSONBody[IndexUpdate],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
    index_threshold: NamedDependency[int],
) -> IndexRead:
    """The index is built or dropped in the background; search is right at every moment, and only its speed changes."""
    async with tenant_database.transaction() as session:
        done = await IndexService(session, tenant_database.tenant_id, index_threshold).set_mode(name, data.mode)
        return await recorder.answer(session, done)


router = Router("/collections/{name:str}/index", route_handlers=[read_index, set_index_mode], tags=["collections"])
