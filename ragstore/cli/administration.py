"""Tenants and keys, straight in the database as its owner: no HTTP route makes a tenant."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from ragstore.cli.preparation import connect_as_owner, prepare_database, run_database
from ragstore.columns import new_id
from ragstore.database import Database
from ragstore.errors import Conflict, NotFound
from ragstore.fields import refuse
from ragstore.settings import Settings, load_settings
from ragstore.tenant import queries
from ragstore.tenant.api_keys import KeyService, check_label
from ragstore.tenant.schemas import KeyCreate, KeyCreated, KeyRead, Scope
from ragstore.tenant.service import add_tenant

Answer = TypeVar("Answer")
LARGEST_PAGE = 1000


@contextmanager
def prepared_settings() -> Iterator[Settings]:
    with run_database(load_settings()) as settings:
        prepare_database(settings)
        yield settings


def run_as_owner(work: Callable[[Database], Awaitable[Answer]]) -> Answer:
    """Migrates first: the commands work on a database that nothing was done to yet."""

    async def run(settings: Settings) -> Answer:
        async with connect_as_owner(settings) as owner:
            return await work(owner)

    with prepared_settings() as settings:
        return asyncio.run(run(settings))


async def list_tenants(owner: Database) -> list[tuple[uuid.UUID, str, datetime]]:
    async with owner.transaction() as session:
        return [(row.id, row.name, row.created_at) for row in await queries.list_tenants(session)]


async def find_tenant(owner: Database, name: str) -> uuid.UUID:
    async with owner.transaction() as session:
        found = await queries.find_tenant_id(session, name)
    if found is None:
        raise NotFound(f"There is no tenant named {name!r}.")
    return found


async def make_tenant(owner: Database, name: str) -> str:
    """The first admin key of the new tenant. Raises Conflict when the name is taken."""
    refuse(check_label("name", name))
    tenant_id = new_id()
    async with owner.transaction(tenant_id) as session:
        await queries.lock_tenants(session)
        if await queries.find_tenant_id(session, name) is not None:
            raise Conflict(f"There is a tenant named {name!r} already.")
        return await add_tenant(session, tenant_id, name)


async def remove_tenant(owner: Database, name: str) -> None:
    tenant_id = await find_tenant(owner, name)
    async with owner.transaction(tenant_id) as session:
        await queries.delete_tenant(session, tenant_id)


async def list_keys(owner: Database, tenant: str) -> list[KeyRead]:
    tenant_id = await find_tenant(owner, tenant)
    found: list[KeyRead] = []
    cursor: str | None = None
    async with owner.transaction(tenant_id) as session:
        while True:
            page = await KeyService(session, tenant_id).list(cursor, LARGEST_PAGE)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found


async def issue_key(
    owner: Database, tenant: str, name: str, scopes: list[Scope], expires_at: datetime | None
) -> KeyCreated:
    tenant_id = await find_tenant(owner, tenant)
    async with owner.transaction(tenant_id) as session:
        return await KeyService(session, tenant_id).issue(KeyCreate(name, scopes, expires_at))


async def revoke_key(owner: Database, tenant: str, wanted: str) -> KeyRead:
    """By its id or its prefix."""
    tenant_id = await find_tenant(owner, tenant)
    key = next((one for one in await list_keys(owner, tenant) if wanted in (str(one.id), one.prefix)), None)
    if key is None:
        raise NotFound(f"The tenant {tenant!r} has no key {wanted!r}.")
    async with owner.transaction(tenant_id) as session:
        await KeyService(session, tenant_id).revoke(key.id)
        return await KeyService(session, tenant_id).read(key.id)
