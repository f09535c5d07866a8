"""People and keys within one tenant."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET

from ragstore.columns import new_id
from ragstore.database import AsyncSession
from ragstore.errors import Conflict, FieldError, NotFound, Unprocessable
from ragstore.fields import check_metadata, check_text
from ragstore.paging import Page, decode_cursor, encode_cursor
from ragstore.tenant import queries
from ragstore.tenant.keys import digest_key, find_prefix, is_chosen, make_key
from ragstore.tenant.schemas import (
    KeyCreate,
    KeyCreated,
    KeyRead,
    KeyUpdate,
    Scope,
    UserCreate,
    UserRead,
    UserUpdate,
    check_email,
)
from ragstore.tenant.tables import ApiKey, AppUser

LONGEST_NAME = 200  # bytes of the name of a key or a tenant


@dataclass(frozen=True)
class KeyService:
    """Raises NotFound for a key the tenant does not have."""

    session: AsyncSession
    tenant_id: uuid.UUID

    async def issue(self, wanted: KeyCreate) -> KeyCreated:
        """The answer is the only place where the key itself can be read."""
        faults = check_label("name", wanted.name)
        if not wanted.scopes:
            faults.append(FieldError("scopes", "must name at least one scope"))
        refuse([*faults, *check_expiry(wanted.expires_at)])
        key = make_key()
        row = ApiKey(
            tenant_id=self.tenant_id,
            name=wanted.name,
            prefix=find_prefix(key),
            digest=digest_key(key),
            scopes=sorted({Scope(scope).value for scope in wanted.scopes}),
            expires_at=wanted.expires_at,
        )
        self.session.add(row)
        await self.session.flush()
        await self.session.refresh(row)
        return KeyCreated(**{name: getattr(to_key(row), name) for name in KeyRead.__struct_fields__}, key=key)

    async def list(self, cursor: str | None, limit: int) -> Page[KeyRead]:
        """Oldest first; revoked and expired ones too."""
        after = decode_cursor(cursor, uuid.UUID) if cursor else None
        rows = await queries.list_keys(self.session, self.tenant_id, after, limit + 1)
        items = [to_key(row) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def read(self, key_id: uuid.UUID) -> KeyRead:
        return to_key(await self._find(key_id))

    async def update(self, key_id: uuid.UUID, wanted: KeyUpdate) -> KeyRead:
        row = await self._find(key_id)
        if wanted.name is not UNSET:
            refuse(check_label("name", wanted.name))
            row.name = wanted.name
        if wanted.expires_at is not UNSET:
            refuse(check_expiry(wanted.expires_at))
            row.expires_at = wanted.expires_at
        await self.session.flush()
        return to_key(row)

    async def revoke(self, key_id: uuid.UUID) -> None:
        """For ever. A key that is revoked already stays as it is."""
        row = await self._find(key_id)
        if row.revoked_at is None:
            row.revoked_at = datetime.now(UTC)
            await self.session.flush()

    async def _find(self, key_id: uuid.UUID) -> ApiKey:
        row = await queries.find_key(self.session, self.tenant_id, key_id)
        if row is None:
            raise NotFound(f"There is no key {key_id}.")
        return row


@dataclass(frozen=True)
class UserService:
    """Raises NotFound for a user the tenant does not have, Conflict for an email that is taken."""

    session: AsyncSession
    tenant_id: uuid.UUID

    async def create(self, wanted: UserCreate) -> UserRead:
        refuse(
            [
                *check_email("email", wanted.email),
                *check_text("name", wanted.name),
                *check_metadata("metadata", wanted.metadata),
            ]
        )
        await self._refuse_taken(wanted.email)
        row = AppUser(
            tenant_id=self.tenant_id,
            id=new_id(),
            email=wanted.email,
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
        after = decode_cursor(cursor, uuid.UUID) if cursor else None
        rows = await queries.list_users(
            self.session, self.tenant_id, email=email, is_active=is_active, after=after, limit=limit + 1
        )
        items = [to_user(row) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def read(self, user_id: uuid.UUID) -> UserRead:
        return to_user(await self._find(user_id))

    async def update(self, user_id: uuid.UUID, wanted: UserUpdate) -> UserRead:
        row = await self._find(user_id)
        changes = list_changes(wanted)
        if "email" in changes and changes["email"].lower() != row.email.lower():
            await self._refuse_taken(changes["email"])
        if changes:
            await queries.update_user(self.session, self.tenant_id, user_id, changes)
            await self.session.refresh(row)
        return to_user(row)

    async def delete(self, user_id: uuid.UUID) -> None:
        """Their sessions stay, without an owner."""
        if not await queries.delete_user(self.session, self.tenant_id, user_id):
            raise user_missing(user_id)

    async def _find(self, user_id: uuid.UUID) -> AppUser:
        row = await queries.find_user(self.session, self.tenant_id, user_id)
        if row is None:
            raise user_missing(user_id)
        return row

    async def _refuse_taken(self, email: str) -> None:
        taken = await queries.list_users(self.session, self.tenant_id, email=email, is_active=None, after=None, limit=1)
        if taken:
            raise Conflict("There is a user with this email already.", errors=(FieldError("email", "is taken"),))


def check_label(path: str, label: str) -> "list[FieldError]":
    """What people will read in a list: something, on one line, without control characters."""
    faults = list(check_text(path, label, longest=LONGEST_NAME))
    if not label.strip() or not label.isprintable():
        faults.append(FieldError(path, "must be one line of visible text"))
    return faults


def user_missing(user_id: uuid.UUID) -> NotFound:
    return NotFound(f"There is no user {user_id}.")


def check_expiry(expires_at: datetime | None) -> "list[FieldError]":
    if expires_at is None:
        return []
    if expires_at.tzinfo is None:
        return [FieldError("expires_at", "must say its time zone, such as 2030-01-31T00:00:00Z")]
    return [] if expires_at > datetime.now(UTC) else [FieldError("expires_at", "must be in the future")]


def list_changes(wanted: UserUpdate) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    faults: list[FieldError] = []
    if wanted.email is not UNSET:
        faults += check_email("email", wanted.email)
        changes["email"] = wanted.email
    if wanted.name is not UNSET:
        faults += check_text("name", wanted.name)
        changes["name"] = wanted.name
    if wanted.is_active is not UNSET:
        changes["is_active"] = wanted.is_active
    if wanted.metadata is not UNSET:
        faults += check_metadata("metadata", wanted.metadata)
        changes["meta"] = wanted.metadata
    refuse(faults)
    return changes


def refuse(faults: "list[FieldError]") -> None:
    if faults:
        raise Unprocessable(f"{faults[0].path} {faults[0].message}.", errors=tuple(faults))


def to_key(row: ApiKey) -> KeyRead:
    return KeyRead(
        row.id,
        row.name,
        show_prefix(row.prefix),
        list(row.scopes),
        row.expires_at,
        row.revoked_at,
        row.last_used_at,
        row.created_at,
    )


def show_prefix(prefix: str) -> str:
    """Nothing of a key that somebody chose: its prefix is of its digest, and a weak key could be guessed by it."""
    return "chosen" if is_chosen(prefix) else prefix


def to_user(row: AppUser) -> UserRead:
    return UserRead(row.id, row.email, row.name, row.is_active, row.meta, row.created_at, row.updated_at)
