from typing import Annotated
from uuid import UUID

from litestar import Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ragstore.chat.schemas import Include, SessionCreate, SessionFork, SessionRead, SessionUpdate
from ragstore.chat.sessions.service import SessionService
from ragstore.database import TenantDatabase
from ragstore.idempotency.service import Recorder
from ragstore.paging import DEFAULT_LIMIT, LARGEST_LIMIT, Page
from ragstore.tenant.guard import READ, WRITE

Included = Annotated[
    list[Include] | None, QueryParameter(description="`user` and `messages` (the newest 50) come with the session.")
]


@post("/", opt=WRITE, responses={200: ResponseSpec(SessionRead, description="The session that has this key already")})
async def open_session(
    data: JSONBody[SessionCreate], tenant_database: NamedDependency[TenantDatabase], recorder: NamedDependency[Recorder]
) -> Response[SessionRead]:
    """201 for a new session; 200 with the one that has this key already."""
    async with tenant_database.transaction() as session:
        opened, created = await SessionService(session, tenant_database.tenant_id).open(data)
        status = 201 if created else 200
        return Response(await recorder.answer(session, opened, status=status), status_code=status)


@get("/", opt=READ)
async def list_sessions(
    tenant_database: NamedDependency[TenantDatabase],
    user_id: FromQuery[UUID | None] = None,
    archived: FromQuery[bool | None] = None,
    include: Included = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LARGEST_LIMIT)] = DEFAULT_LIMIT,
) -> Page[SessionRead]:
    """Last used first, archived ones too unless `archived=false`."""
    async with tenant_database.transaction() as session:
        return await SessionService(session, tenant_database.tenant_id).list(
            user_id=user_id, archived=archived, include=include or (), cursor=cursor, limit=limit
        )


@get("/{session_id:uuid}", opt=READ)
async def read_session(
    session_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase], include: Included = None
) -> SessionRead:
    async with tenant_database.transaction() as session:
        return await SessionService(session, tenant_database.tenant_id).read(session_id, include=include or ())


@patch("/{session_id:uuid}", opt=WRITE)
async def update_session(
    session_id: FromPath[UUID],
    data: JSONBody[SessionUpdate],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> SessionRead:
    async with tenant_database.transaction() as session:
        done = await SessionService(session, tenant_database.tenant_id).update(session_id, data)
        return await recorder.answer(session, done)


@delete("/{session_id:uuid}", opt=WRITE)
async def delete_session(
    session_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase], recorder: NamedDependency[Recorder]
) -> None:
    """With its messages."""
    async with tenant_database.transaction() as session:
        await SessionService(session, tenant_database.tenant_id).delete(session_id)
        await recorder.answer(session, None)


@post("/{session_id:uuid}/fork", opt=WRITE)
async def fork_session(
    session_id: FromPath[UUID],
    data: JSONBody[SessionFork],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> SessionRead:
    """A new session that begins with the same messages, to try another answer."""
    async with tenant_database.transaction() as session:
        forked = await SessionService(session, tenant_database.tenant_id).fork(session_id, data)
        return await recorder.answer(session, forked)


router = Router(
    "/sessions",
    route_handlers=[open_session, list_sessions, read_session, update_session, delete_session, fork_session],
    tags=["sessions"],
)
