import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, text, true, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from ragstore.chat.tables import ChatMessage, ChatSession
from ragstore.database import AsyncSession
from ragstore.tenant.tables import AppUser

FORK_MESSAGES = text("""
    INSERT INTO chat_message (tenant_id, session_id, position, id, role, content, parts, tool_calls, tool_call_id,
                              tokens_used, model, latency_ms, citations, state, metadata, created_at, edited_at,
                              deleted_at)
    SELECT m.tenant_id, :fork_id, m.position, i.id, m.role, m.content, m.parts, m.tool_calls, m.tool_call_id,
           m.tokens_used, m.model, m.latency_ms, m.citations, m.state, m.metadata, m.created_at, m.edited_at,
           m.deleted_at
    FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY i(id, position)
    JOIN chat_message m ON m.tenant_id = :tenant_id AND m.session_id = :session_id AND m.position = i.position
""")
FORK_RETRIEVALS = text("""
    INSERT INTO chat_retrieval (tenant_id, message_id, question, query, collections, search, passages, model,
                                created_at)
    SELECT r.tenant_id, n.id, r.question, r.query, r.collections, r.search, r.passages, r.model, r.created_at
    FROM chat_message o
    JOIN chat_retrieval r ON r.tenant_id = o.tenant_id AND r.message_id = o.id
    JOIN chat_message n ON n.tenant_id = o.tenant_id AND n.session_id = :fork_id AND n.position = o.position
    WHERE o.tenant_id = :tenant_id AND o.session_id = :session_id
""")


def is_alive() -> ColumnElement[bool]:
    """Until the sweep comes, what is over is there for nobody."""
    return or_(col(ChatSession.expires_at).is_(None), col(ChatSession.expires_at) > func.now())


def is_one(tenant_id: uuid.UUID, id_: uuid.UUID) -> ColumnElement[bool]:
    return and_(col(ChatSession.tenant_id) == tenant_id, col(ChatSession.id) == id_)


async def insert_session(session: AsyncSession, row: ChatSession) -> bool:
    """False when the key is taken. One that is over lets its key go."""
    if row.key is not None:
        await session.exec(
            delete(ChatSession).where(
                col(ChatSession.tenant_id) == row.tenant_id, col(ChatSession.key) == row.key, ~is_alive()
            )
        )
    statement = postgresql.insert(ChatSession).values(
        tenant_id=row.tenant_id,
        id=row.id,
        key=row.key,
        title=row.title,
        user_id=row.user_id,
        meta=row.meta,
        expires_at=row.expires_at,
        idle_days=row.idle_days,
        forked_from=row.forked_from,
        forked_at=row.forked_at,
        message_count=row.message_count,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["tenant_id", "key"])
    return (await session.exec(statement)).rowcount == 1


async def find_session(
    session: AsyncSession, tenant_id: uuid.UUID, *, id_: uuid.UUID | None = None, key: str | None = None
) -> ChatSession | None:
    which = col(ChatSession.id) == id_ if key is None else col(ChatSession.key) == key
    statement = select(ChatSession).where(col(ChatSession.tenant_id) == tenant_id, which, is_alive())
    return (await session.exec(statement)).one_or_none()


async def lock_session(session: AsyncSession, tenant_id: uuid.UUID, id_: uuid.UUID) -> ChatSession | None:
    """Until commit nothing is appended to it."""
    statement = select(ChatSession).where(is_one(tenant_id, id_), is_alive()).with_for_update()
    return (await session.exec(statement.execution_options(populate_existing=True))).one_or_none()


async def has_owner(session: AsyncSession, tenant_id: uuid.UUID, user_id: uuid.UUID) -> bool:
    statement = select(col(AppUser.id)).where(col(AppUser.tenant_id) == tenant_id, col(AppUser.id) == user_id)
    return (await session.exec(statement)).one_or_none() is not None


async def list_sessions(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    *,
    user_id: uuid.UUID | None,
    archived: bool | None,
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> Sequence[ChatSession]:
    """Last used first."""
    statement = (
        select(ChatSession)
        .where(col(ChatSession.tenant_id) == tenant_id, is_alive())
        .order_by(col(ChatSession.last_message_at).desc(), col(ChatSession.id).desc())
        .limit(limit)
    )
    if user_id is not None:
        statement = statement.where(col(ChatSession.user_id) == user_id)
    if archived is not None:
        statement = statement.where(col(ChatSession.archived_at).is_not(None) == archived)
    if after is not None:
        statement = statement.where(tuple_(col(ChatSession.last_message_at), col(ChatSession.id)) < tuple_(*after))
    return (await session.exec(statement)).all()


async def read_owners(session: AsyncSession, tenant_id: uuid.UUID, ids: Sequence[uuid.UUID]) -> Sequence[AppUser]:
    statement = select(AppUser).where(col(AppUser.tenant_id) == tenant_id, col(AppUser.id).in_(ids))
    return (await session.exec(statement)).all()


async def read_newest(
    session: AsyncSession, tenant_id: uuid.UUID, session_ids: Sequence[uuid.UUID], each: int
) -> Sequence[ChatMessage]:
    """The newest `each` of every session, by position; one statement for all."""
    newest = (
        select(ChatMessage)
        .where(col(ChatMessage.tenant_id) == tenant_id, col(ChatMessage.session_id) == col(ChatSession.id))
        .order_by(col(ChatMessage.position).desc())
        .limit(each)
        .lateral("newest")
    )
    message = aliased(ChatMessage, newest)
    statement = (
        select(message)
        .select_from(ChatSession)
        .join(newest, true())
        .where(col(ChatSession.tenant_id) == tenant_id, col(ChatSession.id).in_(session_ids))
        .order_by(col(message.session_id), col(message.position))
    )
    return (await session.exec(statement)).all()


async def read_last_used(
    session: AsyncSession, tenant_id: uuid.UUID, user_ids: Sequence[uuid.UUID], each: int
) -> Sequence[ChatSession]:
    """The last used `each` of every user, last used first; one statement for all."""
    last = (
        select(ChatSession)
        .where(col(ChatSession.tenant_id) == tenant_id, col(ChatSession.user_id) == col(AppUser.id), is_alive())
        .order_by(col(ChatSession.last_message_at).desc(), col(ChatSession.id).desc())
        .limit(each)
        .lateral("last")
    )
    found = aliased(ChatSession, last)
    statement = (
        select(found)
        .select_from(AppUser)
        .join(last, true())
        .where(col(AppUser.tenant_id) == tenant_id, col(AppUser.id).in_(user_ids))
        .order_by(col(found.last_message_at).desc(), col(found.id).desc())
    )
    return (await session.exec(statement)).all()


async def delete_sessions_of(session: AsyncSession, tenant_id: uuid.UUID, user_id: uuid.UUID) -> int:
    done = await session.exec(
        delete(ChatSession).where(col(ChatSession.tenant_id) == tenant_id, col(ChatSession.user_id) == user_id)
    )
    return done.rowcount


async def update_session(session: AsyncSession, tenant_id: uuid.UUID, id_: uuid.UUID, changes: dict[str, Any]) -> None:
    await session.exec(update(ChatSession).where(is_one(tenant_id, id_)).values(**changes, updated_at=func.now()))


async def delete_session(session: AsyncSession, tenant_id: uuid.UUID, id_: uuid.UUID) -> bool:
    done = await session.exec(delete(ChatSession).where(is_one(tenant_id, id_), is_alive()))
    return done.rowcount == 1


async def fork_messages(
    session: AsyncSession, tenant_id: uuid.UUID, session_id: uuid.UUID, fork_id: uuid.UUID, ids: Sequence[uuid.UUID]
) -> None:
    """The first messages, as many as there are `ids`, with what their answers were made from."""
    given = {"tenant_id": tenant_id, "session_id": session_id, "fork_id": fork_id}
    connection = await session.connection()
    await connection.execute(FORK_MESSAGES, given | {"ids": list(ids)})
    await connection.execute(FORK_RETRIEVALS, given)
