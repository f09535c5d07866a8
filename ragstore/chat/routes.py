from typing import Annotated, Literal
from uuid import UUID

from litestar import Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ragstore.chat.schemas import (
    MOST_MESSAGES,
    WINDOW,
    MessageAppend,
    MessageAppendByKey,
    MessageRead,
    MessagesAppended,
    OpenAIMessage,
    SessionCreate,
    SessionRead,
    SessionUpdate,
)
from ragstore.chat.service import ChatService, to_appended
from ragstore.database import TenantDatabase
from ragstore.idempotency.service import Recorder
from ragstore.paging import DEFAULT_LIMIT, LARGEST_LIMIT, Page
from ragstore.tenant.guard import READ, WRITE

LAST = 2**31 - 1
Before = Annotated[int | None, QueryParameter(ge=1, le=LAST, description="Only positions below this.")]
After = Annotated[int | None, QueryParameter(ge=0, le=LAST, description="The first above this position.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_MESSAGES)]
Format = Annotated[Literal["openai"] | None, QueryParameter(description="`openai`: a bare list of role and content.")]
Messages = Page[MessageRead] | list[OpenAIMessage]


@post("/", opt=WRITE, responses={200: ResponseSpec(SessionRead, description="The session that has this key already")})
async def open_session(
    data: JSONBody[SessionCreate], tenant_database: NamedDependency[TenantDatabase], recorder: NamedDependency[Recorder]
) -> Response[SessionRead]:
    """201 for a new session; 200 with the one that has this key already."""
    async with tenant_database.transaction() as session:
        opened, created = await ChatService(session, tenant_database.tenant_id).open_session(data)
        status = 201 if created else 200
        return Response(await recorder.answer(session, opened, status=status), status_code=status)


@get("/", opt=READ)
async def list_sessions(
    tenant_database: NamedDependency[TenantDatabase],
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LARGEST_LIMIT)] = DEFAULT_LIMIT,
) -> Page[SessionRead]:
    """Last used first."""
    async with tenant_database.transaction() as session:
        return await ChatService(session, tenant_database.tenant_id).list_sessions(cursor, limit)


@get("/{session_id:uuid}", opt=READ)
async def read_session(session_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase]) -> SessionRead:
    async with tenant_database.transaction() as session:
        return await ChatService(session, tenant_database.tenant_id).read_session(session_id)


@patch("/{session_id:uuid}", opt=WRITE)
async def update_session(
    session_id: FromPath[UUID],
    data: JSONBody[SessionUpdate],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> SessionRead:
    async with tenant_database.transaction() as session:
        done = await ChatService(session, tenant_database.tenant_id).update_session(session_id, data)
        return await recorder.answer(session, done)


@delete("/{session_id:uuid}", opt=WRITE)
async def delete_session(
    session_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase], recorder: NamedDependency[Recorder]
) -> None:
    """With its messages."""
    async with tenant_database.transaction() as session:
        await ChatService(session, tenant_database.tenant_id).delete_session(session_id)
        await recorder.answer(session, None)


@post("/{session_id:uuid}/messages", opt=WRITE)
async def append_messages(
    session_id: FromPath[UUID],
    data: JSONBody[MessageAppend],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> MessageRead | MessagesAppended:
    """One message, or several which are stored together."""
    async with tenant_database.transaction() as session:
        stored = await ChatService(session, tenant_database.tenant_id).append(session_id, data)
        return await recorder.answer(session, to_appended(stored, data))


@get("/{session_id:uuid}/messages", opt=READ)
async def list_messages(
    session_id: FromPath[UUID],
    tenant_database: NamedDependency[TenantDatabase],
    before: Before = None,
    after: After = None,
    cursor: FromQuery[str | None] = None,
    limit: Limit = WINDOW,
    format: Format = None,
) -> Messages:
    """The newest messages, oldest of them first."""
    async with tenant_database.transaction() as session:
        found = await ChatService(session, tenant_database.tenant_id).list_messages(
            session_id=session_id, before=before, after=after, cursor=cursor, limit=limit
        )
    return to_messages(found, format)


@post("/", opt=WRITE)
async def append_by_key(
    data: JSONBody[MessageAppendByKey],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> MessageRead | MessagesAppended:
    """Appends to the session with `session_key`, making it if it is new."""
    async with tenant_database.transaction() as session:
        stored = await ChatService(session, tenant_database.tenant_id).append_by_key(data.session_key, data)
        return await recorder.answer(session, to_appended(stored, data))


@get("/", opt=READ)
async def list_by_key(
    tenant_database: NamedDependency[TenantDatabase],
    session_key: FromQuery[str],
    before: Before = None,
    after: After = None,
    cursor: FromQuery[str | None] = None,
    limit: Limit = WINDOW,
    format: Format = None,
) -> Messages:
    """The newest messages of the session with `session_key`, oldest of them first."""
    async with tenant_database.transaction() as session:
        found = await ChatService(session, tenant_database.tenant_id).list_messages(
            key=session_key, before=before, after=after, cursor=cursor, limit=limit
        )
    return to_messages(found, format)


def to_messages(found: Page[MessageRead], format: str | None) -> Messages:
    if format == "openai":
        return [OpenAIMessage(one.role, one.content) for one in found.items]
    return found


sessions = Router(
    "/sessions",
    route_handlers=[
        open_session,
        list_sessions,
        read_session,
        update_session,
        delete_session,
        append_messages,
        list_messages,
    ],
    tags=["sessions"],
)
messages = Router("/messages", route_handlers=[append_by_key, list_by_key], tags=["messages"])
