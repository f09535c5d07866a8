"""People within one tenant."""

import uuid
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, UnsetType

from ragstore.columns import new_id
from ragstore.database import AsyncSession, TenantDatabase
from ragstore.errors import Conflict, FieldError, NotFound
from ragstore.fields import check_metadata, check_text, refuse
from ragstore.paging import Page, decode_cursor, encode_cursor
from ragstore.tenant import queries
from ragstore.tenant.emails import check_email, normalise_email
from ragstore.tenant.passwords import check_password, hash_password, is_outdated, verify_password
from ragstore.tenant.schemas import PasswordCheck, PasswordChecked, UserCreate, UserRead, UserUpdate
from ragstore.tenant.tables import AppUser


@dataclass(frozen=True)
class UserService:
    """Raises NotFound for a user the tenant does not have, Conflict for an email that is taken."""

    session: AsyncSession
    tenant_id: uuid.UUID

    async def create(self, wanted: UserCreate, password_hash: str | None = None) -> UserRead:
        """`password_hash` is of the password that came with it: hashing takes longer than a transaction should."""
        check_user(wanted)
        email = normalise_email(wanted.email)
        await self._refuse_taken(email)
        row = AppUser(
            tenant_id=self.tenant_id,
            id=new_id(),
            email=email,
            password_hash=password_hash,
            name=wanted.name,
            is_active=wanted.is_active,
            meta=wanted.metadata,
        )
        self.session.add(row)
        await self.session.flush()
        await self.session.refresh(row)
        return to_user(row)

    async def list(
        self, *, email: str | None, is_active: bool | None, cursor: str | None, limit: int
    ) -> Page[UserRead]:
        """Oldest first."""
        refuse(list(check_text("email", email)))
        email = email and normalise_email(email)
        after = decode_cursor(cursor, uuid.UUID) if cursor else None
        rows = await queries.list_users(
            self.session, self.tenant_id, email=email, is_active=is_active, after=after, limit=limit + 1
        )
        items = [to_user(row) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def read(self, user_id: uuid.UUID) -> UserRead:
        return to_user(await self._find(user_id))

    async def update(self, user_id: uuid.UUID, wanted: UserUpdate, password_hash: str | None = None) -> UserRead:
        row = await self._find(user_id)
        changes = list_changes(wanted)
        if wanted.password is not UNSET:
            changes["password_hash"] = password_hash
        if "email" in changes and changes["email"].lower() != row.email.lower():
            await self._refuse_taken(changes["email"])
        if changes:
            await queries.update_user(self.session, self.tenant_id, user_id, changes)
            await self.session.refresh(row)
        return to_user(row)

    async def delete(self, user_id: uuid.UUID) -> None:
        """Sessions that are theirs stay, without an owner."""
        if not await queries.delete_user(self.session, self.tenant_id, user_id):
            raise user_missing(user_id)

    async def find_password(self, email: str) -> tuple[UserRead, str | None] | None:
        """Of an active user, with the hash of the password, which goes no further than to be compared."""
        rows = await queries.list_users(
            self.session, self.tenant_id, email=normalise_email(email), is_active=True, after=None, limit=1
        )
        return (to_user(rows[0]), rows[0].password_hash) if rows else None

    async def keep_password(self, user_id: uuid.UUID, old: str, new: str) -> None:
        """The same password hashed anew, unless it was changed meanwhile."""
        await queries.renew_password(self.session, self.tenant_id, user_id, old, new)

    async def _find(self, user_id: uuid.UUID) -> AppUser:
        row = await queries.find_user(self.session, self.tenant_id, user_id)
        if row is None:
            raise user_missing(user_id)
        return row

    async def _refuse_taken(self, email: str) -> None:
        taken = await queries.list_users(self.session, self.tenant_id, email=email, is_active=None, after=None, limit=1)
        if taken:
            raise Conflict("There is a user with this email already.", errors=(FieldError("email", "is taken"),))


async def verify_user(database: TenantDatabase, wanted: PasswordCheck) -> PasswordChecked:
    """No connection is held while the password is hashed."""
    async with database.transaction() as session:
        found = await UserService(session, database.tenant_id).find_password(wanted.email)
    user, stored = found or (None, None)
    if not await verify_password(stored, wanted.password) or user is None or stored is None:
        return PasswordChecked(False, None)
    if is_outdated(stored):
        renewed = await hash_password(wanted.password)
        async with database.transaction() as session:
            await UserService(session, database.tenant_id).keep_password(user.id, stored, renewed)
    return PasswordChecked(True, user)


async def hash_given(password: str | UnsetType | None) -> str | None:
    """Of a password that is good; of one that is not, which is refused later, nothing."""
    if not isinstance(password, str) or any(check_password("password", password)):
        return None
    return await hash_password(password)


def check_user(wanted: UserCreate) -> None:
    faults = [
        *check_email("email", wanted.email),
        *check_text("name", wanted.name),
        *check_metadata("metadata", wanted.metadata),
    ]
    if wanted.password is not None:
        faults += check_password("password", wanted.password)
    refuse(faults)


def user_missing(user_id: uuid.UUID) -> NotFound:
    return NotFound(f"There is no user {user_id}.")


def list_changes(wanted: UserUpdate) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    faults: list[FieldError] = []
    if wanted.email is not UNSET:
        faults += check_email("email", wanted.email)
        changes["email"] = normalise_email(wanted.email)
    if wanted.name is not UNSET:
        faults += check_text("name", wanted.name)
        changes["name"] = wanted.name
    if wanted.is_active is not UNSET:
        changes["is_active"] = wanted.is_active
    if wanted.metadata is not UNSET:
        faults += check_metadata("metadata", wanted.metadata)
        changes["meta"] = wanted.metadata
    if isinstance(wanted.password, str):
        faults += check_password("password", wanted.password)
    refuse(faults)
    return changes


def to_user(row: AppUser) -> UserRead:
    return UserRead(
        row.id,
        row.email,
        row.name,
        row.is_active,
        row.meta,
        row.created_at,
        row.updated_at,
        row.password_hash is not None,
    )
