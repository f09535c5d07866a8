import uuid
from collections.abc import Sequence

from sqlalchemy import func, or_
from sqlmodel import col, select

from ragstore.database import AsyncSession
from ragstore.tenant.tables import ApiKey, Tenant


async def find_live_key(session: AsyncSession, prefix: str) -> ApiKey | None:
    """Neither revoked nor expired, by the database's clock."""
    found = await session.exec(
        select(ApiKey).where(
            col(ApiKey.prefix) == prefix,
            col(ApiKey.revoked_at).is_(None),
            or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > func.now()),
        )
    )
    return found.one_or_none()


async def has_key(session: AsyncSession, prefix: str) -> bool:
    found = await session.exec(select(col(ApiKey.id)).where(col(ApiKey.prefix) == prefix))
    return found.one_or_none() is not None


async def list_tenant_ids(session: AsyncSession) -> Sequence[uuid.UUID]:
    return (await session.exec(select(col(Tenant.id)).order_by(col(Tenant.id)))).all()


async def find_tenant(session: AsyncSession, name: str) -> Tenant | None:
    return (await session.exec(select(Tenant).where(col(Tenant.name) == name))).one_or_none()
