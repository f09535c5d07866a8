import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlmodel import col, select

from ragstore.chat.tables import ChatMessage, ChatSession
from ragstore.database import AsyncSession
from ragstore.tenant.tables import AppUser


async def insert_session(session: AsyncSession, row: ChatSession) -> bool:
    """False when the key is taken."""
    statement = postgresql.insert(ChatSession).values(
        tenant_id=row.tenant_id, id=row.id, key=row.key, title=row.title, user_id=row.user_id, meta=row.meta
    )
    statement = statement.on_conflict_do_nothing(index_elements=["tenant_id", "key"])
    return (await session.exec(statement)).rowcount == 1


async def find_session(
    session: AsyncSession, tenant_id: uuid.UUID, *, id_: uuid.UUID | None = None, key: str | None = None
) -> ChatSession | None:
    which = col(ChatSession.id) == id_ if key is None else col(ChatSession.key) == key
    return (await session.exec(select(ChatSession).where(col(ChatSession.tenant_id) == tenant_id, which))).one_or_none()


async def has_user(session: AsyncSession, tenant_id: uuid.UUID, user_id: uuid.UUID) -> bool:
    statement = select(col(AppUser.id)).where(col(AppUser.tenant_id) == tenant_id, col(AppUser.id) == user_id)
    return (await session.exec(statement)).one_or_none() is not None


async def list_sessions(
    session: AsyncSession, tenant_id: uuid.UUID, after: tuple[datetime, uuid.UUID] | None, limit: int
) -> Sequence[ChatSession]:
    """Last used first."""
    statement = (
        select(ChatSession)
        .where(col(ChatSession.tenant_id) == tenant_id)
        .order_by(col(ChatSession.last_message_at).desc(), col(ChatSession.id).desc())
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(tuple_(col(ChatSession.last_message_at), col(ChatSession.id)) < tuple_(*after))
    return (await session.exec(statement)).all()


async def update_session(session: AsyncSession, tenant_id: uuid.UUID, id_: uuid.UUID, changes: dict[str, Any]) -> None:
    await session.exec(
        update(ChatSession)
        .where(col(ChatSession.tenant_id) == tenant_id, col(ChatSession.id) == id_)
        .values(**changes, updated_at=func.now())
    )


async def delete_session(session: AsyncSession, tenant_id: uuid.UUID, id_: uuid.UUID) -> bool:
    done = await session.exec(
        delete(ChatSession).where(col(ChatSession.tenant_id) == tenant_id, col(ChatSession.id) == id_)
    )
    return done.rowcount == 1


async def reserve_positions(session: AsyncSession, tenant_id: uuid.UUID, id_: uuid.UUID, count: int) -> int | None:
    """The position before the first of `count` reserved ones, or None for no such session.

    Locks the session's row until commit: positions follow the order of commits, and a rollback leaves no gap.
    """
    statement = (
        update(ChatSession)
        .where(col(ChatSession.tenant_id) == tenant_id, col(ChatSession.id) == id_)
        .values(message_count=col(ChatSession.message_count) + count, last_message_at=func.clock_timestamp())
        .returning(col(ChatSession.message_count))
    )
    last = (await session.exec(statement)).scalar_one_or_none()
    return None if last is None else last - count


async def insert_messages(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> Sequence[ChatMessage]:
    """By position."""
    statement = postgresql.insert(ChatMessage).returning(ChatMessage)
    stored = (await session.exec(statement, params=rows)).scalars().all()
    return sorted(stored, key=lambda message: message.position)


async def list_messages(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    session_id: uuid.UUID,
    *,
    before: int | None,
    after: int | None,
    limit: int,
) -> Sequence[ChatMessage]:
    """By position: the first ones after `after`, or else the last ones before `before`."""
    statement = select(ChatMessage).where(
        col(ChatMessage.tenant_id) == tenant_id, col(ChatMessage.session_id) == session_id
    )
    if after is not None:
        onward = statement.where(col(ChatMessage.position) > after).order_by(col(ChatMessage.position)).limit(limit)
        return (await session.exec(onward)).all()
    if before is not None:
        statement = statement.where(col(ChatMessage.position) < before)
    newest = await session.exec(statement.order_by(col(ChatMessage.position).desc()).limit(limit))
    return list(reversed(newest.all()))
