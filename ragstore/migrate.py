"""The database schema, brought to the revision this ragstore was written for (or back)."""

import asyncio
import contextlib
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ragstore.database import Database
from ragstore.roles import Roles, ensure_roles
from ragstore.sqlstate import find_sqlstate

MADE_MEANWHILE = ("23505", "42710", "XX000")  # XX000: tuple concurrently updated
MOST_TRIES = 5
# A migration may take long, but not keep others waiting: requests queue up behind a lock that it waits for.
SESSION = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0", "lock_timeout": "500ms"}
DEADLOCK_TIMEOUT = "50ms"
LOCKED = ("55P03", "40P01")  # the lock was not to be had in time; a deadlock with a request
MOST_LOCK_TRIES = 50
LOCK_PAUSE = 0.2
LOCK = 0x7261677374  # "ragst": any number, the same for every process that migrates


def find_migrations() -> Path:
    """Inside an installed package, or beside the package in a checkout."""
    here = Path(__file__).parent
    installed = here / "migrations"
    return installed if installed.is_dir() else here.parent / "migrations"


def make_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(find_migrations()).replace("%", "%%"))
    return config


def latest_revision() -> str:
    head = ScriptDirectory.from_config(make_config()).get_current_head()
    if head is None:
        raise RuntimeError("ragstore was installed without its migrations")
    return head


def list_revisions() -> list[str]:
    """Oldest first."""
    script = ScriptDirectory.from_config(make_config())
    return [one.revision for one in reversed(list(script.walk_revisions()))]


async def migrate(database: Database, roles: Roles, revision: str = "head") -> str | None:
    """Upgrade, or downgrade for a revision such as `-1` or `base`; answers the revision reached.

    `database` is the owner's. Processes that start together wait for one another on an advisory lock, which is of one
    database; roles are of the whole cluster, so making one that was made meanwhile is tried again.
    """
    try:
        async with database.engine.connect() as connection:
            await take_lock(connection)
            try:
                await connection.run_sync(make_roles, roles)
                await connection.commit()
                await run_patiently(connection, roles, revision)
                return await connection.run_sync(read_revision)
            finally:
                await asyncio.shield(release_lock(connection))
    finally:
        await database.engine.dispose()  # connections opened before pgvector existed do not know its types


async def take_lock(connection: AsyncConnection) -> None:
    """Asked again and again: a session that waits in the statement would keep `CREATE INDEX CONCURRENTLY` waiting."""
    for name, value in SESSION.items():
        await connection.execute(text(f"SET {name} = '{value}'"))
    await connection.commit()
    with contextlib.suppress(DBAPIError):  # a superuser may: then a deadlock ends the migration and not a request
        await connection.execute(text(f"SET deadlock_timeout = '{DEADLOCK_TIMEOUT}'"))
    await connection.commit()
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
        await connection.commit()
        await asyncio.sleep(LOCK_PAUSE)
    await connection.commit()


async def release_lock(connection: AsyncConnection) -> None:
    """Also after a failure, whose own error must not be lost in a transaction that is aborted."""
    await connection.rollback()
    await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
    await connection.commit()


async def run_patiently(connection: AsyncConnection, roles: Roles, revision: str) -> None:
    """Each revision is a transaction of its own: one that met a lock is tried again after those before it."""
    for number in range(MOST_LOCK_TRIES):
        try:
            await connection.run_sync(run_alembic, roles, revision)
            await connection.commit()
        except DBAPIError as error:
            await connection.rollback()
            if not will_pass(error) or number == MOST_LOCK_TRIES - 1 or revision.startswith("-"):
                raise
            await asyncio.sleep(LOCK_PAUSE * (number + 1))
        else:
            return


def will_pass(error: DBAPIError) -> bool:
    """A lock, or a catalogue row of the whole cluster that another database's migration changes at this moment."""
    return find_sqlstate(error) in LOCKED or "concurrently" in str(error.orig)


async def may_migrate(database: Database) -> bool:
    """Whether this login may make things in the database at all."""
    async with database.engine.connect() as connection:
        found = await connection.scalar(text("SELECT has_database_privilege(current_database(), 'CREATE')"))
    return bool(found)


def make_roles(connection: Connection, roles: Roles) -> None:
    for _ in range(MOST_TRIES - 1):
        try:
            with connection.begin_nested():
                ensure_roles(connection, roles)
                return
        except DBAPIError as error:  # another database of the cluster makes them at this moment
            if find_sqlstate(error) not in MADE_MEANWHILE:
                raise
    ensure_roles(connection, roles)


def run_alembic(connection: Connection, roles: Roles, revision: str) -> None:
    config = make_config()
    config.attributes |= {"connection": connection} | roles.by_purpose()
    if is_downgrade(revision, read_revision(connection)):
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


def is_downgrade(revision: str, current: str | None) -> bool:
    if revision == "base" or revision.startswith("-"):
        return True
    known = list_revisions()
    return revision in known and current in known and known.index(revision) < known.index(current)


def read_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def current_revision(database: Database) -> str | None:
    async with database.engine.connect() as connection:
        return await connection.run_sync(read_revision)
