import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, func, text, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlmodel import col, select

from ragstore.chat.sessions.queries import is_alive, is_one
from ragstore.chat.tables import ChatMessage, ChatRetrieval, ChatSession
from ragstore.database import AsyncSession

# Newest first over all of a user's sessions: of each its newest ones, by its own index.
BY_USER = text("""
    SELECT m.* FROM app_user u
    JOIN chat_session s ON s.tenant_id = u.tenant_id AND s.user_id = u.id
      AND (s.expires_at IS NULL OR s.expires_at > now())
    CROSS JOIN LATERAL (
        SELECT * FROM chat_message x
        WHERE x.tenant_id = s.tenant_id AND x.session_id = s.id
          AND (CAST(:before_at AS timestamptz) IS NULL
               OR (x.created_at, x.id) < (CAST(:before_at AS timestamptz), CAST(:before_id AS uuid)))
        ORDER BY x.created_at DESC, x.id DESC LIMIT :limit
    ) m
    WHERE u.tenant_id = :tenant_id AND lower(u.email) = lower(:email)
    ORDER BY m.created_at DESC, m.id DESC LIMIT :limit
""")
HAS_EMAIL = text("SELECT EXISTS (SELECT FROM app_user WHERE tenant_id = :tenant_id AND lower(email) = lower(:email))")


async def reserve_positions(session: AsyncSession, tenant_id: uuid.UUID, id_: uuid.UUID, count: int) -> int | None:
    """The position before the first of `count` reserved ones, or None for no such session.

    Locks the session's row until commit: positions follow the order of commits, and a rollback leaves no gap.
    """
    idle = func.clock_timestamp() + func.make_interval(0, 0, 0, col(ChatSession.idle_days))
    statement = (
        update(ChatSession)
        .where(is_one(tenant_id, id_), is_alive())
        .values(
            message_count=col(ChatSession.message_count) + count,
            last_message_at=func.clock_timestamp(),
            expires_at=case((col(ChatSession.idle_days).is_(None), col(ChatSession.expires_at)), else_=idle),
        )
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


async def has_email(session: AsyncSession, tenant_id: uuid.UUID, email: str) -> bool:
    found = await (await session.connection()).execute(HAS_EMAIL, {"tenant_id": tenant_id, "email": email})
    return bool(found.scalar_one())


async def list_by_email(
    session: AsyncSession, tenant_id: uuid.UUID, email: str, before: tuple[datetime, uuid.UUID] | None, limit: int
) -> Sequence[ChatMessage]:
    """Newest first, of all sessions of the user."""
    at, id_ = before or (None, None)
    given = {"tenant_id": tenant_id, "email": email, "before_at": at, "before_id": id_, "limit": limit}
    found: Any = await session.exec(select(ChatMessage).from_statement(BY_USER), params=given)  # type: ignore[call-overload]  # text
    return list(found.scalars())


async def find_message(
    session: AsyncSession, tenant_id: uuid.UUID, session_id: uuid.UUID, message_id: uuid.UUID
) -> ChatMessage | None:
    statement = (
        select(ChatMessage)
        .join(
            ChatSession,
            tuple_(col(ChatSession.tenant_id), col(ChatSession.id))
            == tuple_(col(ChatMessage.tenant_id), col(ChatMessage.session_id)),
        )
        .where(col(ChatMessage.tenant_id) == tenant_id, col(ChatMessage.id) == message_id, is_alive())
        .where(col(ChatMessage.session_id) == session_id)
    )
    return (await session.exec(statement)).one_or_none()


async def update_message(
    session: AsyncSession, tenant_id: uuid.UUID, message_id: uuid.UUID, changes: Mapping[str, Any]
) -> None:
    await session.exec(
        update(ChatMessage)
        .where(col(ChatMessage.tenant_id) == tenant_id, col(ChatMessage.id) == message_id)
        .values(**changes)
    )


async def forget_summary(session: AsyncSession, tenant_id: uuid.UUID, id_: uuid.UUID, position: int) -> None:
    """A summary that tells of the message is to be made again."""
    told = col(ChatSession.summary_until) >= position
    await session.exec(
        update(ChatSession)
        .where(is_one(tenant_id, id_))
        .values(
            summary=case((told, None), else_=col(ChatSession.summary)),
            summary_model=case((told, None), else_=col(ChatSession.summary_model)),
            summary_until=case((told, 0), else_=col(ChatSession.summary_until)),
            updated_at=func.now(),
        )
    )


async def delete_retrieval(session: AsyncSession, tenant_id: uuid.UUID, message_id: uuid.UUID) -> None:
    await session.exec(
        delete(ChatRetrieval).where(
            col(ChatRetrieval.tenant_id) == tenant_id, col(ChatRetrieval.message_id) == message_id
        )
    )
