"""What a service tells its operator, and what it keeps to itself."""

import asyncio

import httpx
from sqlalchemy import text

import ragstore
from ragstore.app import create_app
from ragstore.database import Database
from ragstore.migrate import latest_revision
from tests.builders import make_collection, problem_of, upsert
from tests.conftest import make_settings, running

DOCTOR = "/v1/doctor"
NOBODY = "'00000000-0000-0000-0000-000000000000'"


async def run_as_owner(database: Database, statement: str) -> None:
    async with database.transaction() as session:
        await (await session.connection()).execute(text(statement))


def make_job(
    tenant: str, state: str, run_at: str = "now()", finished_at: str = "NULL", *, kind: str = "work", result: str = "{}"
) -> str:
    columns = "tenant_id, id, kind, state, run_at, finished_at, result, priority, attempts, max_attempts, fence"
    values = f"'{kind}', '{state}', {run_at}, {finished_at}, '{result}'::jsonb, 0, 0, 5, 0"
    return f"INSERT INTO job ({columns}) SELECT {tenant}, gen_random_uuid(), {values}"


async def test_versions_and_schema_are_told(client: httpx.AsyncClient, database: Database) -> None:
    found = (await client.get(DOCTOR)).json()
    async with database.transaction() as session:
        connection = await session.connection()
        server = str(await connection.scalar(text("SHOW server_version")))
    assert found["version"] == ragstore.__version__
    assert found["database"]["server"] == server.split(" ")[0]
    assert found["database"]["too_old"] is None
    assert found["database"]["revision"] == found["database"]["latest_revision"] == latest_revision()
    assert (found["jobs"]["worker_here"], found["search_candidates"]) == (True, 200)


async def test_jobs_are_counted_and_the_longest_wait_told(database_url: str, database: Database) -> None:
    async with running(create_app(make_settings(database_url, run_jobs=False))) as client:
        mine = "(SELECT id FROM tenant WHERE name = 'default')"
        before = (await client.get(DOCTOR)).json()["jobs"]
        assert (before["waiting"], before["worker_here"]) == (0, False)
        await run_as_owner(database, make_job(mine, "queued", "now() - interval '300 s'"))
        await run_as_owner(database, make_job(mine, "queued", "now() + interval '300 s'"))
        await run_as_owner(database, make_job(mine, "failed", finished_at="now()"))
        await run_as_owner(database, make_job(mine, "failed", finished_at="now() - interval '2 days'"))
        await run_as_owner(database, make_job(NOBODY, "failed", finished_at="now()"))
        after = (await client.get(DOCTOR)).json()["jobs"]
    assert after["own"] == {"queued": 2, "running": 0, "failed": 1}
    assert after["system"] == before["system"] | {"failed": 1}
    assert 300 <= after["waiting"] < 400


async def test_of_another_tenant_nothing_is_told(database_url: str, database: Database, stranger_key: str) -> None:
    async with running(create_app(make_settings(database_url, run_jobs=False))) as client:
        await make_collection(client)
        await upsert(client, {"key": "a", "content": "one"})
        mine = "(SELECT id FROM tenant WHERE name = 'default')"
        await run_as_owner(database, make_job(mine, "queued", "now() - interval '300 s'"))
        assert (await client.get(DOCTOR)).json()["unfolded"] == {"docs": 1}
        stranger = (await client.get(DOCTOR, headers={"Authorization": f"Bearer {stranger_key}"})).json()
    assert stranger["unfolded"] == {}
    assert stranger["jobs"]["own"] == {"queued": 0, "running": 0, "failed": 0}
    assert stranger["jobs"]["waiting"] < 100


async def test_rows_that_wait_for_vacuum_are_counted(database_url: str, database: Database) -> None:
    async with running(create_app(make_settings(database_url, run_jobs=False))) as client:
        await make_collection(client)
        await upsert(client, *[{"key": f"{number}", "content": f"passage {number}"} for number in range(30)])
        # a session tells the statistics what it has done when it has nothing to do, once a second at most
        for _ in range(200):
            found = (await client.get(DOCTOR)).json()["vacuum"]
            if found["untidy_rows"] == 30:
                break
            await asyncio.sleep(0.05)
        assert (found["rows"], found["untidy_rows"], found["vacuumed_at"]) == (30, 30, None)
        async with database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("VACUUM embedding"))
        found = (await client.get(DOCTOR)).json()["vacuum"]
    assert found["untidy_rows"] == 0
    assert found["vacuumed_at"] is not None


async def test_a_vacuum_that_was_refused_is_told(client: httpx.AsyncClient, database: Database) -> None:
    assert (await client.get(DOCTOR)).json()["vacuum"]["refused"] is False
    done = make_job(NOBODY, "succeeded", finished_at="now()", kind="vacuum", result='{"vacuumed": false}')
    await run_as_owner(database, done)
    assert (await client.get(DOCTOR)).json()["vacuum"]["refused"] is True


async def test_only_an_admin_may_ask(client: httpx.AsyncClient) -> None:
    made = await client.post("/v1/keys", json={"name": "writer", "scopes": ["read", "write"]})
    key = made.json()["key"]
    problem_of(await client.get(DOCTOR, headers={"Authorization": f"Bearer {key}"}), 403, "not-allowed")
