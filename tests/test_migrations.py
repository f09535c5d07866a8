import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

import ragstore.job.tables  # noqa: F401  # the app does not use it yet
from ragstore.app import make_state, run_state
from ragstore.database import Database
from ragstore.errors import ConfigurationError
from ragstore.migrate import current_revision, latest_revision, list_revisions, migrate
from tests.conftest import ROLES, make_settings
from tests.document.stored import OLD_ENTRIES, count_entries, list_entry_differences, store_old_documents

ROOT = Path(__file__).parent.parent


def connect(url: str) -> Database:
    return Database.connect(url, make_settings(url))


def run_alembic(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RAGSTORE_DATABASE_URL": url}
    command = [sys.executable, "-m", "alembic", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


async def list_tables(database: Database) -> set[str]:
    async with database.engine.connect() as connection:
        return set(await connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")))


async def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    def compare(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), SQLModel.metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(compare) == []


async def test_every_revision_goes_down_and_up_again(empty_database_url: str) -> None:
    database = connect(empty_database_url)
    for revision in list_revisions():
        assert await migrate(database, ROLES, revision) == revision
        before = await list_tables(database)
        await migrate(database, ROLES, "-1")
        assert await migrate(database, ROLES, revision) == revision
        assert await list_tables(database) == before
    assert await migrate(database, ROLES, "base") is None
    assert await list_tables(database) == {"alembic_version"}
    assert await migrate(database, ROLES) == latest_revision()
    await database.close()


async def test_documents_that_are_there_get_their_metadata_entries(empty_database_url: str) -> None:
    database = connect(empty_database_url)
    await migrate(database, ROLES, "0004")
    await store_old_documents(empty_database_url)
    await migrate(database, ROLES, "0005")
    assert await list_entry_differences(database) == []
    assert await count_entries(database) == OLD_ENTRIES
    await database.close()


async def test_the_alembic_command_does_the_same(empty_database_url: str) -> None:
    steps = [["upgrade", "head"], ["check"]]
    for revision in reversed(list_revisions()):  # one back from each
        steps += [["downgrade", "-1"], ["upgrade", revision], ["downgrade", "-1"]]
    for arguments in [*steps, ["upgrade", "head"], ["downgrade", "base"]]:
        done = await asyncio.to_thread(run_alembic, empty_database_url, *arguments)
        assert done.returncode == 0, (arguments, done.stderr)
    database = connect(empty_database_url)
    assert await current_revision(database) is None
    await database.close()


async def test_processes_that_migrate_at_once_wait_for_each_other(empty_database_url: str) -> None:
    databases = [connect(empty_database_url) for _ in range(4)]
    reached = await asyncio.gather(*(migrate(database, ROLES) for database in databases))
    assert set(reached) == {latest_revision()}
    for database in databases:
        await database.close()


async def test_the_service_refuses_a_database_of_another_revision(empty_database_url: str) -> None:
    with pytest.raises(ConfigurationError, match="ragstore migrate"):
        async with run_state(make_state(make_settings(empty_database_url))):
            pass


async def test_vectors_are_stored_plain(database: Database) -> None:
    async with database.engine.connect() as connection:
        storage = await connection.scalar(
            text("SELECT attstorage FROM pg_attribute WHERE attrelid = 'embedding'::regclass AND attname = 'vector'")
        )
    assert storage in ("p", b"p")


async def test_every_key_begins_with_the_tenant(database: Database) -> None:
    """Primary keys, unique constraints and foreign keys: tenants share nothing, and the schema can be distributed."""
    async with database.engine.connect() as connection:
        rows = (
            await connection.execute(
                text(
                    "SELECT c.conname, a.attname FROM pg_constraint c"
                    " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]"
                    " WHERE c.connamespace = 'public'::regnamespace AND c.contype IN ('p', 'u', 'f')"
                )
            )
        ).all()
    exceptions = {row.conname for row in rows if row.attname != "tenant_id"}
    assert exceptions == {"pk_tenant", "uq_tenant_name", "alembic_version_pkc"}
