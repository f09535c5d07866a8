"""The views of the schema `ragstore`, read as the role for reports reads them."""

import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ragstore.database import Database
from tests.conftest import ADMIN_KEY, ROLES, make_settings

SECRETS = [("app_user", "password_hash"), ("api_key", "digest"), ("file", "content"), ("job", "payload")]


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[Database]:
    database = Database.connect(database_url, make_settings(database_url), role=ROLES.reader)
    yield database
    await database.close()


@pytest.fixture
async def two_tenants(client: httpx.AsyncClient, stranger_key: str) -> None:
    for key in (ADMIN_KEY, stranger_key):
        client.headers["Authorization"] = f"Bearer {key}"
        await client.post("/v1/collections", json={"name": "books"})
        documents = [{"key": "a", "content": f"words of {key}"}]
        await client.post("/v1/collections/books/documents", json={"documents": documents})
        message = {"session_key": "s", "role": "user", "content": f"words of {key}", "tokens_used": 3}
        assert (await client.post("/v1/messages", json=message)).status_code < 300


async def ask(database: Database, tenant: uuid.UUID | None, statement: str) -> list[tuple[object, ...]]:
    async with database.transaction(tenant) as session:
        connection = await session.connection()
        return [tuple(row) for row in await connection.execute(text(statement))]


async def find_tenant(database: Database, name: str) -> uuid.UUID:
    ((found,),) = await ask(database, None, f"SELECT id FROM tenant WHERE name = '{name}'")
    return uuid.UUID(str(found))


async def list_views(database: Database) -> list[str]:
    rows = await ask(database, None, "SELECT viewname FROM pg_views WHERE schemaname = 'ragstore' ORDER BY 1")
    return [str(name) for (name,) in rows]


async def test_a_reader_sees_one_tenant_in_every_view_and_without_one_nothing(
    database: Database, reader: Database, two_tenants: None
) -> None:
    tenant = await find_tenant(database, "default")
    filled = []
    for view in await list_views(database):
        rows = await ask(reader, tenant, f"SELECT tenant_id FROM ragstore.{view}")
        assert {row[0] for row in rows} <= {tenant}
        assert await ask(reader, None, f"SELECT * FROM ragstore.{view}") == []
        every = await ask(database, None, f"SELECT tenant_id FROM ragstore.{view}")
        filled += [view] if len(set(every)) == 2 and rows else []
    expected = {"collections", "documents", "chunks", "sessions", "messages", "keys"}
    assert expected | {"collection_sizes", "messages_per_day"} <= set(filled)


async def test_the_aggregates_count(database: Database, reader: Database, two_tenants: None) -> None:
    tenant = await find_tenant(database, "default")
    sizes = await ask(reader, tenant, "SELECT collection, documents, bytes, chunks FROM ragstore.collection_sizes")
    assert sizes == [("books", 1, len(f"words of {ADMIN_KEY}"), 1)]
    days = await ask(reader, tenant, "SELECT role, messages, tokens_used, sessions FROM ragstore.messages_per_day")
    assert days == [("user", 1, 3, 1)]


async def test_the_app_role_reads_the_views_too(database: Database, database_url: str, two_tenants: None) -> None:
    tenant = await find_tenant(database, "default")
    app = Database.connect(database_url, make_settings(database_url), role=ROLES.app)
    assert len(await ask(app, tenant, "SELECT * FROM ragstore.documents")) == 1
    await app.close()


async def test_a_reader_writes_nothing(database: Database, database_url: str, two_tenants: None) -> None:
    tenant = await find_tenant(database, "default")
    statements = [f"DELETE FROM ragstore.{view}" for view in await list_views(database)]
    statements += ["DELETE FROM document", "UPDATE document SET title = 'x'", "CREATE TABLE ragstore.own (id int)"]
    for statement in [*statements, "INSERT INTO ragstore.keys (tenant_id) VALUES (gen_random_uuid())"]:
        assert await find_refusal(database_url, tenant, statement) in ("42501", "55000"), statement


@pytest.mark.parametrize(("table", "column"), SECRETS)
async def test_a_reader_sees_no_secret(database_url: str, table: str, column: str) -> None:
    assert await find_refusal(database_url, None, f"SELECT {column} FROM {table}") == "42501"


async def find_refusal(url: str, tenant: uuid.UUID | None, statement: str) -> str | None:
    """The SQLSTATE a reader gets."""
    reader = Database.connect(url, make_settings(url), role=ROLES.reader)
    try:
        async with reader.engine.connect() as connection:
            await connection.execute(text(f"SET app.tenant = '{tenant or ''}'"))
            await connection.execute(text(statement))
    except DBAPIError as error:
        return str(getattr(error.orig, "sqlstate", None))
    finally:
        await reader.close()
    return None
