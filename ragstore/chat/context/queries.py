import uuid
from collections.abc import Sequence

from sqlalchemy import update
from sqlmodel import col, select

from ragstore.chat.sessions.queries import is_alive, is_one
from ragstore.chat.tables import ChatMessage, ChatSession
from ragstore.database import AsyncSession


async def read_system_messages(
    session: AsyncSession, tenant_id: uuid.UUID, session_id: uuid.UUID
) -> Sequence[ChatMessage]:
    statement = (
        select(ChatMessage)
        .where(
            col(ChatMessage.tenant_id) == tenant_id,
            col(ChatMessage.session_id) == session_id,
            col(ChatMessage.role) == "system",
            col(ChatMessage.deleted_at).is_(None),
        )
        .order_by(col(ChatMessage.position))
    )
    return (await session.exec(statement)).all()


async def read_spoken(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    session_id: uuid.UUID,
    *,
    after: int = 0,
    before: int | None = None,
    newest_first: bool,
    limit: int,
) -> Sequence[ChatMessage]:
    """Neither system messages nor deleted ones."""
    statement = select(ChatMessage).where(
        col(ChatMessage.tenant_id) == tenant_id,
        col(ChatMessage.session_id) == session_id,
        col(ChatMessage.position) > after,
        col(ChatMessage.role) != "system",
        col(ChatMessage.deleted_at).is_(None),
    )
    if before is not None:
        statement = statement.where(col(ChatMessage.position) < before)
    order = col(ChatMessage.position).desc() if newest_first else col(ChatMessage.position)
    return (await session.exec(statement.order_by(order).limit(limit))).all()


async def store_summary(
    session: AsyncSession, tenant_id: uuid.UUID, session_id: uuid.UUID, *, after: int, until: int, text: str, model: str
) -> bool:
    """False when the summary is no longer the one that went up to `after`."""
    done = await session.exec(
        update(ChatSession)
        .where(is_one(tenant_id, session_id), is_alive(), col(ChatSession.summary_until) == after)
        .values(summary=text, summary_until=until, summary_model=model)
    )
    return done.rowcount == 1
