"""A Postgres where nobody is superuser: one login owns the database, another is the service's."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from ragstore.app import create_app, make_state, run_state
from ragstore.cli.preparation import migrate_database, prepare_database
from ragstore.database import Database
from ragstore.errors import ConfigurationError
from ragstore.migrate import current_revision, latest_revision
from ragstore.roles import Roles
from ragstore.settings import Settings
from tests.builders import make_collection, search, upsert
from tests.conftest import make_settings, on_database, run_on_server, running
from tests.document.stored import OLD_ENTRIES, count_entries, list_entry_differences, store_old_documents
from tests.job.kit import wait_until

PASSWORD = "letmein"


@dataclass(frozen=True)
class Managed:
    superuser_url: str
    name: str

    def url(self, login: str) -> str:
        """Of one of the logins `owner`, `login` and `stranger`."""
        as_login = make_url(self.superuser_url).set(username=f"{self.name}_{login}", password=PASSWORD)
        return as_login.render_as_string(hide_password=False)

    def settings(self, tmp_path: Path, *, owner: bool = True) -> Settings:
        urls = {"owner_database_url": self.url("owner")} if owner else {}
        return make_settings(self.url("login"), app_role=self.name, data_dir=tmp_path, admin_key="chosen", **urls)


@pytest.fixture
async def managed(server_url: str) -> AsyncIterator[Managed]:
    name = f"m{uuid.uuid4().hex[:20]}"
    await run_on_server(
        server_url,
        f"CREATE ROLE {name}_owner LOGIN CREATEROLE PASSWORD '{PASSWORD}'",
        f"CREATE ROLE {name}_login LOGIN PASSWORD '{PASSWORD}'",
        f"CREATE ROLE {name}_stranger LOGIN PASSWORD '{PASSWORD}'",
        f"CREATE DATABASE {name} OWNER {name}_owner",
    )
    url = on_database(server_url, name)
    await run_on_server(url, "CREATE EXTENSION vector")  # as the provider's own tool does
    yield Managed(url, name)
    roles = [f"{name}{part}" for part in ("", "_definer", "_reader", "_login", "_stranger", "_owner")]
    await run_on_server(
        server_url, f"DROP DATABASE {name} WITH (FORCE)", *(f"DROP ROLE IF EXISTS {role}" for role in roles)
    )


async def read_one(url: str, statement: str, role: str | None = None) -> object:
    database = Database.connect(url, make_settings(url), role=role)
    try:
        async with database.engine.connect() as connection:
            return await connection.scalar(text(statement))
    finally:
        await database.close()


async def test_an_owner_who_is_no_superuser_migrates_up_and_down(managed: Managed, tmp_path: Path) -> None:
    settings = managed.settings(tmp_path)
    for to, reached in (("head", latest_revision()), ("base", None), ("head", latest_revision())):
        assert await asyncio.to_thread(migrate_database, settings, to) == reached
    assert not await read_one(managed.url("owner"), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")


async def test_such_an_owner_fills_tables_from_rows_that_the_walls_hide_from_it(
    managed: Managed, tmp_path: Path
) -> None:
    settings = managed.settings(tmp_path)
    await asyncio.to_thread(migrate_database, settings, "0004")
    await store_old_documents(managed.superuser_url)
    assert await asyncio.to_thread(migrate_database, settings, "0005") == "0005"
    superuser = Database.connect(managed.superuser_url, make_settings(managed.superuser_url))
    assert await list_entry_differences(superuser) == []
    assert await count_entries(superuser) == OLD_ENTRIES
    await superuser.close()


async def test_the_service_works_with_a_login_that_owns_nothing(managed: Managed, tmp_path: Path) -> None:
    await asyncio.to_thread(prepare_database, managed.settings(tmp_path))
    alone = managed.settings(tmp_path, owner=False)
    async with running(create_app(alone), "chosen") as client:
        await make_collection(client)
        await upsert(client, {"key": "a", "content": "Trains are booked in second class."})
        assert [hit["document_key"] for hit in await search(client, query="travel by train")] == ["a"]
    assert await read_one(managed.url("login"), "SELECT current_user", role=managed.name) == managed.name
    assert await read_one(managed.url("login"), "SELECT count(*) FROM document", role=managed.name) == 0  # no tenant


async def test_the_owner_builds_a_collections_index_and_drops_it(managed: Managed, tmp_path: Path) -> None:
    settings = managed.settings(tmp_path).model_copy(update={"index_threshold": 1, "index_build_quiet": 0})
    await asyncio.to_thread(prepare_database, settings)
    async with running(create_app(settings), "chosen") as client:
        await make_collection(client)
        await upsert(client, {"key": "a", "content": "Trains are booked in second class."})
        for mode, state in (("auto", "ready"), ("off", "none")):
            await client.put("/v1/collections/docs/index", json={"mode": mode})

            async def there(state: str = state) -> bool:
                return bool((await client.get("/v1/collections/docs/index")).json()["state"] == state)

            await wait_until(there)


async def test_a_service_without_the_owners_url_leaves_a_migrated_database_as_it_is(
    managed: Managed, tmp_path: Path
) -> None:
    await asyncio.to_thread(prepare_database, managed.settings(tmp_path))
    assert await asyncio.to_thread(prepare_database, managed.settings(tmp_path, owner=False)) is None


async def test_a_service_without_the_owners_url_says_who_must_migrate(managed: Managed, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="RAGSTORE_OWNER_DATABASE_URL"):
        await asyncio.to_thread(prepare_database, managed.settings(tmp_path, owner=False))
    database = Database.connect(managed.url("owner"), make_settings(managed.url("owner")))
    assert await current_revision(database) is None
    await database.close()


async def test_a_login_that_may_not_act_as_the_app_role_is_told_so(managed: Managed, tmp_path: Path) -> None:
    await asyncio.to_thread(prepare_database, managed.settings(tmp_path))
    with pytest.raises(ConfigurationError, match="may not act as it"):
        async with run_state(make_state(make_settings(managed.url("stranger"), app_role=managed.name))):
            pass


async def test_the_service_refuses_to_act_as_the_owner(managed: Managed, tmp_path: Path) -> None:
    await asyncio.to_thread(prepare_database, managed.settings(tmp_path))
    with pytest.raises(ConfigurationError, match="which owns"):
        async with run_state(make_state(make_settings(managed.url("owner"), app_role=f"{managed.name}_owner"))):
            pass


async def test_the_service_refuses_a_role_that_bypasses_the_walls(managed: Managed, tmp_path: Path) -> None:
    await asyncio.to_thread(prepare_database, managed.settings(tmp_path))
    await run_on_server(managed.superuser_url, f"ALTER ROLE {managed.name} BYPASSRLS")
    with pytest.raises(ConfigurationError, match="bypasses row-level security"):
        async with run_state(make_state(managed.settings(tmp_path, owner=False))):
            pass


async def test_a_login_for_reports_is_bound_to_a_tenant_as_the_page_says(managed: Managed, tmp_path: Path) -> None:
    await asyncio.to_thread(prepare_database, managed.settings(tmp_path))
    tenant = await read_one(managed.superuser_url, "SELECT id FROM tenant")
    await run_on_server(
        managed.url("owner"),
        f"GRANT {Roles(managed.name).reader} TO {managed.name}_stranger",
    )
    await run_on_server(managed.superuser_url, f"ALTER ROLE {managed.name}_stranger SET app.tenant = '{tenant}'")
    assert await read_one(managed.url("stranger"), "SELECT count(*) FROM ragstore.keys") == 1
