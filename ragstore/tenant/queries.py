import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import col, select

from ragstore.database import AsyncSession
from ragstore.tenant.tables import ApiKey


async def find_live_key(session: AsyncSession, prefix: str) -> Row[Any] | None:
    """tenant_id, id, digest and scopes of a key that is neither revoked nor expired, by the database's clock.

    Asked before the tenant is known; notes the key's use at most once a minute.
    """
    connection = await session.connection()
    found = await connection.execute(text("SELECT * FROM ragstore_find_key(:prefix)"), {"prefix": prefix})
    return found.one_or_none()


async def has_key(session: AsyncSession, prefix: str) -> bool:
    found = await session.exec(select(col(ApiKey.id)).where(col(ApiKey.prefix) == prefix))
    return found.one_or_none() is not None


async def list_tenants(session: AsyncSession) -> Sequence[Row[Any]]:
    """id, name and created_at, by name. Only the owner of the database may ask."""
    connection = await session.connection()
    return (await connection.execute(text("SELECT * FROM ragstore_list_tenants()"))).all()


async def lock_tenants(session: AsyncSession) -> None:
    """Until commit: two processes that start together on a new database make one tenant."""
    connection = await session.connection()
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('ragstore tenants', 0))"))


async def find_tenant_id(session: AsyncSession, name: str) -> uuid.UUID | None:
    return next((row.id for row in await list_tenants(session) if row.name == name), None)
