"""Keys within one tenant."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec import UNSET

from ragstore.database import AsyncSession
from ragstore.errors import FieldError, NotFound
from ragstore.fields import check_text, refuse
from ragstore.paging import Page, decode_cursor, encode_cursor
from ragstore.tenant import queries
from ragstore.tenant.keys import digest_key, find_prefix, is_chosen, make_key
from ragstore.tenant.schemas import (
    KeyCreate,
    KeyCreated,
    KeyRead,
    KeyUpdate,
    Scope,
)
from ragstore.tenant.tables import ApiKey

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


def check_label(path: str, label: str) -> list[FieldError]:
    """What people will read in a list: something, on one line, without control characters."""
    faults = list(check_text(path, label, longest=LONGEST_NAME))
    if not label.strip() or not label.isprintable():
        faults.append(FieldError(path, "must be one line of visible text"))
    return faults


def check_expiry(expires_at: datetime | None) -> list[FieldError]:
    if expires_at is None:
        return []
    if expires_at.tzinfo is None:
        return [FieldError("expires_at", "must say its time zone, such as 2030-01-31T00:00:00Z")]
    return [] if expires_at > datetime.now(UTC) else [FieldError("expires_at", "must be in the future")]


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
