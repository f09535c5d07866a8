from typing import Annotated, Literal
from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ragstore.chat.messages.service import MessageService, to_appended
from ragstore.chat.messages.shapes import to_openai
from ragstore.chat.schemas import (
    MOST_MESSAGES,
    WINDOW,
    MessageAppend,
    MessageAppendByKey,
    MessagePage,
    MessageRead,
    MessagesAppended,
    MessageUpdate,
    OpenAIMessage,
)
from ragstore.database import TenantDatabase
from ragstore.errors import FieldError, InvalidRequest
from ragstore.idempotency.service import Recorder
from ragstore.tenant.guard import READ, WRITE

LAST = 2**31 - 1
Before = Annotated[int | None, QueryParameter(ge=1, le=LAST, description="Only positions below this.")]
After = Annotated[int | None, QueryParameter(ge=0, le=LAST, description="The first above this position.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_MESSAGES)]
Format = Annotated[
    Literal["openai"] | None,
    QueryParameter(description="`openai`: a bare list of what a chat completion takes, without deleted messages."),
]
Messages = MessagePage | list[OpenAIMessage]


@post("/", opt=WRITE)
async def append_messages(
    session_id: FromPath[UUID],
    data: JSONBody[MessageAppend],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> MessageRead | MessagesAppended:
    """One message, or several which are stored together."""
    async with tenant_database.transaction() as session:
        stored = await MessageService(session, tenant_database.tenant_id).append(session_id, data)
        return await recorder.answer(session, to_appended(stored, data))


@get("/", opt=READ)
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
        found = await MessageService(session, tenant_database.tenant_id).list(
            session_id=session_id, before=before, after=after, cursor=cursor, limit=limit
        )
    return to_messages(found, format)


@get("/{message_id:uuid}", opt=READ)
async def read_message(
    session_id: FromPath[UUID], message_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase]
) -> MessageRead:
    """A deleted one too: it has its place, and says nothing."""
    async with tenant_database.transaction() as session:
        return await MessageService(session, tenant_database.tenant_id).read(session_id, message_id)


@patch("/{message_id:uuid}", opt=WRITE)
async def update_message(
    session_id: FromPath[UUID],
    message_id: FromPath[UUID],
    data: JSONBody[MessageUpdate],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> MessageRead:
    """Another content sets `edited_at`."""
    async with tenant_database.transaction() as session:
        done = await MessageService(session, tenant_database.tenant_id).update(session_id, message_id, data)
        return await recorder.answer(session, done)


@delete("/{message_id:uuid}", opt=WRITE)
async def delete_message(
    session_id: FromPath[UUID],
    message_id: FromPath[UUID],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> None:
    """What it said is gone; its place stays."""
    async with tenant_database.transaction() as session:
        await MessageService(session, tenant_database.tenant_id).delete(session_id, message_id)
        await recorder.answer(session, None)


@post("/", opt=WRITE)
async def append_by_key(
    data: JSONBody[MessageAppendByKey],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> MessageRead | MessagesAppended:
    """Appends to the session with `session_key`, making it if it is new."""
    async with tenant_database.transaction() as session:
        stored = await MessageService(session, tenant_database.tenant_id).append_by_key(data.session_key, data)
        return await recorder.answer(session, to_appended(stored, data))


@get("/", opt=READ)
async def list_across(
    tenant_database: NamedDependency[TenantDatabase],
    session_key: FromQuery[str | None] = None,
    user_email: FromQuery[str | None] = None,
    before: Before = None,
    after: After = None,
    cursor: FromQuery[str | None] = None,
    limit: Limit = WINDOW,
    format: Format = None,
) -> Messages:
    """The newest messages of the session with `session_key`, oldest of them first; or those of all sessions of the user
    with `user_email`, newest first.
    """
    check_choice(session_key, user_email, before, after)
    async with tenant_database.transaction() as session:
        service = MessageService(session, tenant_database.tenant_id)
        if user_email is not None:
            found = await service.list_by_email(user_email, cursor=cursor, limit=limit)
        else:
            found = await service.list(key=session_key, before=before, after=after, cursor=cursor, limit=limit)
    return to_messages(found, format)


def check_choice(session_key: str | None, user_email: str | None, before: int | None, after: int | None) -> None:
    if (session_key is None) == (user_email is None):
        fault = FieldError("session_key", "must be there, or user_email in its place, and not both")
        raise InvalidRequest("Name a session or a user.", errors=(fault,))
    if user_email is not None and not before is after is None:
        name = "before" if before is not None else "after"
        fault = FieldError(name, "is a position in one session: a user's messages go on by cursor")
        raise InvalidRequest(f"{name} {fault.message}.", errors=(fault,))


def to_messages(found: MessagePage, format: str | None) -> Messages:
    if format == "openai":
        return [to_openai(one) for one in found.items if one.deleted_at is None]
    return found


within = Router(
    "/sessions/{session_id:uuid}/messages",
    route_handlers=[append_messages, list_messages, read_message, update_message, delete_message],
    tags=["messages"],
)
router = Router("/messages", route_handlers=[append_by_key, list_across], tags=["messages"])
