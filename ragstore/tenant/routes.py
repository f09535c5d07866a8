from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from ragstore.database import TenantDatabase
from ragstore.errors import Conflict
from ragstore.idempotency.service import Recorder
from ragstore.paging import DEFAULT_LIMIT, LARGEST_LIMIT, Page
from ragstore.tenant.api_keys import KeyService
from ragstore.tenant.guard import ADMIN
from ragstore.tenant.people import UserService, check_user, hash_given, verify_user
from ragstore.tenant.schemas import (
    Caller,
    KeyCreate,
    KeyCreated,
    KeyRead,
    KeyUpdate,
    PasswordCheck,
    PasswordChecked,
    UserCreate,
    UserRead,
    UserUpdate,
)
from ragstore.tenant.service import Authenticator

Limit = Annotated[int, QueryParameter(ge=1, le=LARGEST_LIMIT)]


@post("/", opt=ADMIN)
async def issue_key(
    data: JSONBody[KeyCreate],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> KeyCreated:
    """The key itself is in this answer and nowhere else: only its digest is stored."""
    async with tenant_database.transaction() as session:
        issued = await KeyService(session, tenant_database.tenant_id).issue(data)
        return await recorder.answer(session, issued, stored=msgspec.structs.replace(issued, key=None))


@get("/", opt=ADMIN)
async def list_keys(
    tenant_database: NamedDependency[TenantDatabase],
    cursor: FromQuery[str | None] = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[KeyRead]:
    """Oldest first; revoked and expired ones too."""
    async with tenant_database.transaction() as session:
        return await KeyService(session, tenant_database.tenant_id).list(cursor, limit)


@get("/{key_id:uuid}", opt=ADMIN)
async def read_key(key_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase]) -> KeyRead:
    async with tenant_database.transaction() as session:
        return await KeyService(session, tenant_database.tenant_id).read(key_id)


@patch("/{key_id:uuid}", opt=ADMIN)
async def update_key(
    key_id: FromPath[UUID],
    data: JSONBody[KeyUpdate],
    tenant_database: NamedDependency[TenantDatabase],
    authenticator: NamedDependency[Authenticator],
    recorder: NamedDependency[Recorder],
) -> KeyRead:
    """Its name and when it expires."""
    async with tenant_database.transaction() as session:
        changed = await KeyService(session, tenant_database.tenant_id).update(key_id, data)
        await recorder.answer(session, changed)
    authenticator.forget()
    return changed


@delete("/{key_id:uuid}", opt=ADMIN)
async def revoke_key(
    key_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    tenant_database: NamedDependency[TenantDatabase],
    authenticator: NamedDependency[Authenticator],
    recorder: NamedDependency[Recorder],
) -> None:
    """For ever: at once in this process, within ten seconds in others. The key that asks cannot revoke itself."""
    if key_id == caller.key_id:
        raise Conflict("A key cannot revoke itself: use another one.")
    async with tenant_database.transaction() as session:
        await KeyService(session, tenant_database.tenant_id).revoke(key_id)
        await recorder.answer(session, None)
    authenticator.forget()


@post("/", opt=ADMIN | {"secret": True})
async def create_user(
    data: JSONBody[UserCreate],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> UserRead:
    check_user(data)
    password_hash = await hash_given(data.password)
    async with tenant_database.transaction() as session:
        made = await UserService(session, tenant_database.tenant_id).create(data, password_hash)
        return await recorder.answer(session, made)


@patch("/{user_id:uuid}", opt=ADMIN | {"secret": True})
async def update_user(
    user_id: FromPath[UUID],
    data: JSONBody[UserUpdate],
    tenant_database: NamedDependency[TenantDatabase],
    recorder: NamedDependency[Recorder],
) -> UserRead:
    password_hash = await hash_given(data.password)
    async with tenant_database.transaction() as session:
        changed = await UserService(session, tenant_database.tenant_id).update(user_id, data, password_hash)
        return await recorder.answer(session, changed)


@post("/verify", opt=ADMIN | {"read_only": True}, status_code=200)
async def verify_password(
    data: JSONBody[PasswordCheck], tenant_database: NamedDependency[TenantDatabase]
) -> PasswordChecked:
    """Whether this is the password of an active user. It takes a tenth of a second, and as long when it is not."""
    return await verify_user(tenant_database, data)


keys = Router("/keys", route_handlers=[issue_key, list_keys, read_key, update_key, revoke_key], tags=["keys"])
users = Router("/users", route_handlers=[create_user, update_user, verify_password], tags=["users"])
