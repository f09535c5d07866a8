import uuid
from typing import Any

from sqlalchemy.dialects import postgresql
from sqlmodel import col, select

from ragstore.chat.tables import ChatRetrieval
from ragstore.database import AsyncSession


async def insert_retrieval(session: AsyncSession, **values: Any) -> None:
    await session.exec(postgresql.insert(ChatRetrieval).values(**values))


async def find_retrieval(session: AsyncSession, tenant_id: uuid.UUID, message_id: uuid.UUID) -> ChatRetrieval | None:
    statement = select(ChatRetrieval).where(
        col(ChatRetrieval.tenant_id) == tenant_id, col(ChatRetrieval.message_id) == message_id
    )
    return (await session.exec(statement)).one_or_none()
