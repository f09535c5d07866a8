import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class Scope(StrEnum):
    """What a key may do; each scope includes the ones before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


INCLUDED = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.WRITE: frozenset({Scope.READ, Scope.WRITE}),
    Scope.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True)
class Caller:
    """Who is asking, as the API key says."""

    tenant_id: uuid.UUID
    key_id: uuid.UUID
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        return any(scope in INCLUDED[held] for held in self.scopes)


class KeyCreate(msgspec.Struct, forbid_unknown_fields=True):
    """Without `expires_at` the key lives until it is revoked."""

    name: str
    scopes: list[Scope]
    expires_at: datetime | None = None


class KeyUpdate(msgspec.Struct, forbid_unknown_fields=True):
    name: str | UnsetType = UNSET
    expires_at: datetime | UnsetType | None = UNSET


class KeyRead(msgspec.Struct):
    """`prefix` is the part of the key that may be shown; `last_used_at` is exact to a minute."""

    id: uuid.UUID
    name: str
    prefix: str
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


class KeyCreated(KeyRead, kw_only=True):
    """`key` is shown this once; null when the same request is answered again."""

    key: str | None


class UserCreate(msgspec.Struct, forbid_unknown_fields=True):
    """`email` is kept in its usual spelling; the password only as a hash, which nobody reads again."""

    email: str
    name: str | None = None
    is_active: bool = True
    metadata: dict[str, Any] = {}
    password: str | None = None


class UserUpdate(msgspec.Struct, forbid_unknown_fields=True):
    """Fields left out stay as they are; `metadata` is replaced whole."""

    email: str | UnsetType = UNSET
    name: str | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    password: str | UnsetType | None = UNSET


class UserRead(msgspec.Struct):
    id: uuid.UUID
    email: str
    name: str | None
    is_active: bool
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    has_password: bool = False


class PasswordCheck(msgspec.Struct, forbid_unknown_fields=True):
    email: str
    password: str


class PasswordChecked(msgspec.Struct):
    """`user` is null unless the password is right and the user active; why it is not, nobody is told."""

    valid: bool
    user: UserRead | None
