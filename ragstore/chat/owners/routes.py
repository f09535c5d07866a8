from typing import Annotated, Literal
from uuid import UUID

from litestar import Router, delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from ragstore.chat.owners.service import OwnerRead, OwnerService, Sessions
from ragstore.database import TenantDatabase
from ragstore.idempotency.service import Recorder
from ragstore.paging import DEFAULT_LIMIT, LARGEST_LIMIT, Page
from ragstore.tenant.guard import ADMIN

Included = Annotated[
    list[Literal["sessions"]] | None, QueryParameter(description="`sessions`: the 50 last used come with the user.")
]


@get("/", opt=ADMIN)
async def list_users(
    tenant_database: NamedDependency[TenantDatabase],
    email: FromQuery[str | None] = None,
    is_active: FromQuery[bool | None] = None,
    include: Included = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LARGEST_LIMIT)] = DEFAULT_LIMIT,
) -> Page[OwnerRead]:
    """Oldest first."""
    async with tenant_database.transaction() as session:
        return await OwnerService(session, tenant_database.tenant_id).list(
            email=email, is_active=is_active, with_sessions=bool(include), cursor=cursor, limit=limit
        )


@get("/{user_id:uuid}", opt=ADMIN)
async def read_user(
    user_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase], include: Included = None
) -> OwnerRead:
    async with tenant_database.transaction() as session:
        return await OwnerService(session, tenant_database.tenant_id).read(user_id, with_sessions=bool(include))


@delete("/{user_id:uuid}", opt=ADMIN)
async def delete_user(
    user_id: FromPath[UUID],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
    sessions: Annotated[Sessions, QueryParameter(description="What becomes of their chat sessions.")] = "keep",
) -> None:
    """Their sessions stay, without an owner, or go with them."""
    async with tenant_database.transaction() as session:
        await OwnerService(session, tenant_database.tenant_id).delete(user_id, sessions)
        await recorder.answer(session, None)


router = Router("/users", route_handlers=[list_users, read_user, delete_user], tags=["users"])
