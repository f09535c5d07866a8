import asyncio
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from ragstore.database import Database
from ragstore.tenant.keys import digest_key, find_prefix, make_key
from ragstore.tenant.schemas import Scope
from ragstore.tenant.service import add_key, ensure_first_tenant
from tests.builders import make_collection, open_session, problem_of, upsert
from tests.conftest import ADMIN_KEY, make_settings, running


async def make_key_with(database: Database, *scopes: Scope) -> str:
    async with database.transaction() as session:
        connection = await session.connection()
        tenant_id = await connection.scalar(text("SELECT id FROM tenant WHERE name = 'default'"))
        return await add_key(session, tenant_id, "test", scopes)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic c2VzYW1l",
        "Bearer wrong",
        "sesame",
        "Bearer ' OR '1'='1",
        "Bearer " + "x" * 9000,
    ],
)
async def test_without_a_known_key_nothing_is_answered(app: Litestar, header: str | None) -> None:
    async with running(app, key=None) as client:
        headers = {} if header is None else {"Authorization": header}
        response = await client.get("/v1/collections", headers=headers)
        problem_of(response, 401, "not-authenticated")
        assert response.headers["www-authenticate"] == "Bearer"


async def test_only_health_and_schema_answer_without_a_key(app: Litestar) -> None:
    async with running(app, key=None) as client:
        for path in ("/health/live", "/health/ready", "/schema", "/schema/openapi.json", "/"):
            assert (await client.get(path)).status_code == 200, path
        document = (await client.get("/schema/openapi.json")).json()
        probed = 0
        for path, operations in document["paths"].items():
            if path.startswith("/health"):
                continue
            address = path.replace("{", "").replace("}", "")
            for method in operations:
                response = await client.request(method, address)
                assert response.status_code in (401, 404), (method, path, response.status_code)
                probed += response.status_code == 401
        assert probed >= 10


async def test_a_key_may_do_what_its_scope_says(app: Litestar, database: Database) -> None:
    reader = await make_key_with(database, Scope.READ)
    writer = await make_key_with(database, Scope.WRITE)
    async with running(app) as client:
        await make_collection(client)
        read = {"Authorization": f"Bearer {reader}"}
        write = {"Authorization": f"Bearer {writer}"}
        assert (await client.get("/v1/collections", headers=read)).status_code == 200
        assert (await client.get("/v1/collections", headers=write)).status_code == 200
        refused = await client.post("/v1/collections", json={"name": "other"}, headers=read)
        problem_of(refused, 403, "not-allowed")
        assert (await client.post("/v1/collections", json={"name": "other"}, headers=write)).status_code == 201


@pytest.mark.parametrize("column", ["expires_at", "revoked_at"])
async def test_a_key_that_is_over_is_unknown(app: Litestar, database: Database, column: str) -> None:
    key = await make_key_with(database, Scope.ADMIN)
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(
            text(f"UPDATE api_key SET {column} = now() WHERE prefix = :prefix"), {"prefix": find_prefix(key)}
        )
    async with running(app, key=key) as client:
        problem_of(await client.get("/v1/collections"), 401, "not-authenticated")


async def test_keys_are_random_and_only_their_digest_is_stored(database: Database) -> None:
    keys = {make_key() for _ in range(1000)}
    assert len(keys) == len({find_prefix(key) for key in keys}) == 1000
    key = await make_key_with(database, Scope.READ)
    async with database.transaction() as session:
        connection = await session.connection()
        row = (
            await connection.execute(text("SELECT * FROM api_key WHERE prefix = :prefix"), {"prefix": find_prefix(key)})
        ).one()
    assert row.digest == digest_key(key)
    assert key not in str(row)
    assert find_prefix("chosen by a person").startswith("chosen_")


async def test_a_stranger_sees_nothing_of_anybody_else(client: httpx.AsyncClient, stranger_key: str) -> None:
    await make_collection(client)
    (document,) = await upsert(client, {"key": "a", "content": "secret plans"})
    session_id = await open_session(client, key="s")
    stranger = {"Authorization": f"Bearer {stranger_key}"}
    base = "/v1/collections/docs"
    calls: list[tuple[str, str, dict[str, Any] | None]] = [
        ("GET", base, None),
        ("PATCH", base, {"title": "x"}),
        ("DELETE", base, None),
        ("GET", f"{base}/documents", None),
        ("GET", f"{base}/export", None),
        ("POST", f"{base}/documents/import", None),
        ("GET", f"{base}/documents/import?import=mine", None),
        ("POST", f"{base}/documents", {"documents": [{"key": "b", "content": "x"}]}),
        ("DELETE", f"{base}/documents?key=a", None),
        ("GET", f"{base}/documents/{document['id']}", None),
        ("PATCH", f"{base}/documents/{document['id']}", {"metadata": {}}),
        ("DELETE", f"{base}/documents/{document['id']}", None),
        ("GET", f"{base}/documents/{document['id']}/chunks", None),
        ("POST", f"{base}/search", {"query": "secret"}),
        ("GET", f"/v1/sessions/{session_id}", None),
        ("PATCH", f"/v1/sessions/{session_id}", {"title": "x"}),
        ("DELETE", f"/v1/sessions/{session_id}", None),
        ("GET", f"/v1/sessions/{session_id}/messages", None),
        ("POST", f"/v1/sessions/{session_id}/messages", {"role": "user", "content": "x"}),
        ("GET", "/v1/messages?session_key=s", None),
    ]
    for method, path, body in calls:
        response = await client.request(method, path, json=body, headers=stranger)
        assert response.status_code == 404, (method, path, response.text)
        assert "secret" not in response.text
    assert (await client.get("/v1/collections", headers=stranger)).json()["items"] == []
    assert (await client.get("/v1/sessions", headers=stranger)).json()["items"] == []
    opened = await client.post("/v1/sessions", json={"key": "s"}, headers=stranger)
    assert opened.status_code == 201  # a key of another tenant is neither taken nor visible


async def test_the_same_names_live_beside_each_other(client: httpx.AsyncClient, stranger_key: str) -> None:
    await make_collection(client)
    await upsert(client, {"key": "a", "content": "mine"})
    stranger = {"Authorization": f"Bearer {stranger_key}"}
    made = await client.post("/v1/collections", json={"name": "docs"}, headers=stranger)
    assert made.status_code == 201
    response = await client.post("/v1/collections/docs/search", json={"query": "mine"}, headers=stranger)
    assert response.json() == {"hits": []}


async def test_the_first_start_makes_a_tenant_and_a_key_only_once(database: Database) -> None:
    kept: list[str] = []

    async def count_keys() -> int:
        async with database.transaction() as session:
            return int(await (await session.connection()).scalar(text("SELECT count(*) FROM api_key")) or 0)

    assert not await ensure_first_tenant(database, ADMIN_KEY, kept.append)
    assert await count_keys() == 1
    assert not await ensure_first_tenant(database, "another one", kept.append)
    assert await count_keys() == 2
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("DELETE FROM api_key"))
        await connection.execute(text("DELETE FROM tenant"))
    assert await ensure_first_tenant(database, None, kept.append)
    assert [find_prefix(key)[:3] for key in kept] == ["rs_"]


async def test_processes_that_start_at_once_on_a_new_database_make_one_tenant(database_url: str) -> None:
    databases = [Database.connect(database_url, make_settings(database_url)) for _ in range(4)]
    async with databases[0].transaction() as session:
        connection = await session.connection()
        await connection.execute(text("DELETE FROM api_key"))
        await connection.execute(text("DELETE FROM tenant"))
    kept: list[str] = []
    made = await asyncio.gather(*(ensure_first_tenant(one, None, kept.append) for one in databases))
    assert sum(made) == len(kept) == 1
    for one in databases:
        await one.close()


async def test_only_who_holds_the_whole_key_is_noted_as_its_user(app: Litestar, database: Database) -> None:
    key = await make_key_with(database, Scope.READ)
    wrong = f"{find_prefix(key)}_{'x' * 43}"

    async def read_last_use() -> object:
        async with database.transaction() as session:
            connection = await session.connection()
            statement = text("SELECT last_used_at FROM api_key WHERE prefix = :prefix")
            return await connection.scalar(statement, {"prefix": find_prefix(key)})

    async with running(app, key=wrong) as client:
        problem_of(await client.get("/v1/collections"), 401, "not-authenticated")
        assert await read_last_use() is None
        assert (await client.get("/v1/collections", headers={"Authorization": f"Bearer {key}"})).status_code == 200
        assert await read_last_use() is not None


async def test_nothing_of_a_chosen_key_is_shown(client: httpx.AsyncClient) -> None:
    assert [one["prefix"] for one in (await client.get("/v1/keys")).json()["items"]] == ["chosen"]
