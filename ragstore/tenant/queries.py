import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, text, update
from sqlmodel import col, select

from ragstore.database import AsyncSession
from ragstore.tenant.tables import ApiKey, AppUser


async def find_live_key(session: AsyncSession, prefix: str) -> Row[Any] | None:
    """tenant_id, id, digest and scopes of a key that is neither revoked nor expired, by the database's clock.

    Asked before the tenant is known.
    """
    connection = await session.connection()
    found = await connection.execute(text("SELECT * FROM ragstore_find_key(:prefix)"), {"prefix": prefix})
    return found.one_or_none()


async def note_key_use(session: AsyncSession, prefix: str, digest: bytes) -> None:
    """At most once a minute; only the right digest is noted."""
    connection = await session.connection()
    given = {"prefix": prefix, "digest": digest}
    await connection.execute(text("SELECT ragstore_note_key_use(:prefix, :digest)"), given)


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


async def find_key(session: AsyncSession, tenant_id: uuid.UUID, key_id: uuid.UUID) -> ApiKey | None:
    statement = select(ApiKey).where(col(ApiKey.tenant_id) == tenant_id, col(ApiKey.id) == key_id)
    return (await session.exec(statement)).one_or_none()


async def list_keys(
    session: AsyncSession, tenant_id: uuid.UUID, after: uuid.UUID | None, limit: int
) -> Sequence[ApiKey]:
    statement = select(ApiKey).where(col(ApiKey.tenant_id) == tenant_id).order_by(col(ApiKey.id)).limit(limit)
    if after is not None:
        statement = statement.where(col(ApiKey.id) > after)
    return (await session.exec(statement)).all()


async def find_user(session: AsyncSession, tenant_id: uuid.UUID, user_id: uuid.UUID) -> AppUser | None:
    statement = select(AppUser).where(col(AppUser.tenant_id) == tenant_id, col(AppUser.id) == user_id)
    return (await session.exec(statement)).one_or_none()


async def list_users(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    *,
    email: str | None,
    is_active: bool | None,
    after: uuid.UUID | None,
    limit: int,
) -> Sequence[AppUser]:
    """Emails are the same whatever their case."""
    statement = select(AppUser).where(col(AppUser.tenant_id) == tenant_id).order_by(col(AppUser.id)).limit(limit)
    if email is not None:
        statement = statement.where(func.lower(col(AppUser.email)) == func.lower(email))
    if is_active is not None:
        statement = statement.where(col(AppUser.is_active) == is_active)
    if after is not None:
        statement = statement.where(col(AppUser.id) > after)
    return (await session.exec(statement)).all()


async def update_user(session: AsyncSession, tenant_id: uuid.UUID, user_id: uuid.UUID, changes: dict[str, Any]) -> None:
    await session.exec(
        update(AppUser)
        .where(col(AppUser.tenant_id) == tenant_id, col(AppUser.id) == user_id)
        .values(**changes, updated_at=func.now())
    )


async def renew_password(session: AsyncSession, tenant_id: uuid.UUID, user_id: uuid.UUID, old: str, new: str) -> None:
    await session.exec(
        update(AppUser)
        .where(col(AppUser.tenant_id) == tenant_id, col(AppUser.id) == user_id, col(AppUser.password_hash) == old)
        .values(password_hash=new)
    )


async def delete_user(session: AsyncSession, tenant_id: uuid.UUID, user_id: uuid.UUID) -> bool:
    done = await session.exec(delete(AppUser).where(col(AppUser.tenant_id) == tenant_id, col(AppUser.id) == user_id))
    return done.rowcount == 1


async def delete_tenant(session: AsyncSession, tenant_id: uuid.UUID) -> None:
    """With everything that is the tenant's; for the owner of the tables, in that tenant's transaction."""
    connection = await session.connection()
    for table in ("api_key", "job", "idempotency_record"):  # which no foreign key reaches
        await connection.execute(text(f"DELETE FROM {table} WHERE tenant_id = :tenant_id"), {"tenant_id": tenant_id})  # noqa: S608  # names of this line
    await connection.execute(text("DELETE FROM tenant WHERE id = :tenant_id"), {"tenant_id": tenant_id})
