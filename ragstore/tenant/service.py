"""Who is asking: keys recognised, and the first tenant of a new database."""

import hmac
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ragstore.columns import new_id
from ragstore.database import AsyncSession, Database
from ragstore.errors import NotAuthenticated
from ragstore.tenant import queries
from ragstore.tenant.keys import digest_key, find_prefix, make_key
from ragstore.tenant.schemas import Caller, Scope
from ragstore.tenant.tables import ApiKey, Tenant

DEFAULT_TENANT = "default"
REMEMBERED_SECONDS = 10.0  # a revoked key may work this long on another process
MOST_REMEMBERED = 10_000
UNKNOWN = bytes(32)


@dataclass
class Authenticator:
    """Recognises API keys; a key seen in the last seconds costs no connection."""

    database: Database
    remembered: dict[bytes, tuple[float, Caller]] = field(default_factory=dict)

    async def authenticate(self, key: str) -> Caller:
        """Raises NotAuthenticated, in the same words for unknown, expired and revoked keys."""
        digest = digest_key(key)
        known = self.remembered.get(digest)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        caller = await self._look_up(key, digest)
        if len(self.remembered) >= MOST_REMEMBERED:
            self.remembered.clear()
        self.remembered[digest] = (time.monotonic() + REMEMBERED_SECONDS, caller)
        return caller

    def forget(self) -> None:
        """Keys changed: this process looks each up anew. Others do within REMEMBERED_SECONDS."""
        self.remembered.clear()

    async def _look_up(self, key: str, digest: bytes) -> Caller:
        prefix = find_prefix(key)
        async with self.database.transaction() as session:
            row = await queries.find_live_key(session, prefix)
            matches = hmac.compare_digest(digest, row.digest if row is not None else UNKNOWN)
            if row is None or not matches:
                self.remembered.pop(digest, None)
                raise NotAuthenticated("The API key is not known.")
            await queries.note_key_use(session, prefix, digest)
        return Caller(row.tenant_id, row.id, frozenset(Scope(scope) for scope in row.scopes))


async def add_key(
    session: AsyncSession, tenant_id: uuid.UUID, name: str, scopes: Sequence[Scope], key: str | None = None
) -> str:
    """Store the digest of `key`, or of a new random one; the answer is the only time it can be read."""
    key = key or make_key()
    session.add(
        ApiKey(
            tenant_id=tenant_id,
            name=name,
            prefix=find_prefix(key),
            digest=digest_key(key),
            scopes=[scope.value for scope in scopes],
        )
    )
    await session.flush()
    return key


async def ensure_first_tenant(owner: Database, admin_key: str | None, keep: Callable[[str], None]) -> bool:
    """On a database without tenants make `default` and its admin key; says whether a key nobody chose was made.

    `keep` gets such a key before the commit: one that is stored but written nowhere could never be used. A chosen
    key that the default tenant does not have yet is added; one that was revoked stays so.
    """
    new = new_id()
    async with owner.transaction(new) as session:
        await queries.lock_tenants(session)
        if not await queries.list_tenants(session):
            key = await add_tenant(session, new, DEFAULT_TENANT, admin_key)
            if admin_key is None:
                keep(key)
            return admin_key is None
        tenant_id = await queries.find_tenant_id(session, DEFAULT_TENANT)
    if tenant_id is not None and admin_key is not None:
        async with owner.transaction(tenant_id) as session:
            if not await queries.has_key(session, find_prefix(admin_key)):
                await add_key(session, tenant_id, "RAGSTORE_ADMIN_KEY", [Scope.ADMIN], admin_key)
    return False  # somebody arranged the tenants: none is added


async def add_tenant(session: AsyncSession, tenant_id: uuid.UUID, name: str, admin_key: str | None = None) -> str:
    """A tenant and its first admin key, which is answered. The transaction is that tenant's."""
    session.add(Tenant(id=tenant_id, name=name))
    await session.flush()
    return await add_key(session, tenant_id, "first admin key", [Scope.ADMIN], admin_key)
