"""A database ready to serve: it runs, has this version's schema, a tenant and an admin key."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
from alembic.util import CommandError
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

from ragstore.client.location import KEY_FILE, write_atomically
from ragstore.database import Database
from ragstore.embedded.server import start_embedded
from ragstore.errors import ConfigurationError, DatabaseUnavailable
from ragstore.migrate import current_revision, latest_revision, may_migrate, migrate
from ragstore.roles import choose_roles
from ragstore.settings import Settings
from ragstore.tenant.service import ensure_first_tenant
from ragstore.walls import check_walls


@contextmanager
def run_database(settings: Settings) -> Iterator[Settings]:
    """Settings that name a database. The embedded one runs until the end of the block."""
    if settings.database_url is not None:
        yield settings
        return
    with start_embedded(settings.data_dir, memory_mb=settings.memory_mb) as server:
        yield settings.model_copy(update={"database_url": SecretStr(server.url)})


def migrate_database(settings: Settings, revision: str) -> str | None:
    async def run() -> str | None:
        async with connect_as_owner(settings) as database:
            reached = await migrate(database, choose_roles(settings), revision)
            if settings.admin_key is not None and reached == latest_revision():
                await ensure_admin_key(database, settings)  # a service whose login owns nothing cannot
            return reached

    return asyncio.run(run())


def prepare_database(settings: Settings) -> Path | None:
    """Migrates, and answers where the admin key is if one was made."""

    async def run() -> Path | None:
        async with connect_as_owner(settings) as database:
            if settings.owner_database_url is None and not await may_migrate(database):
                await check_prepared(settings)
                return None
            await migrate(database, choose_roles(settings))
            return await ensure_admin_key(database, settings)

    return asyncio.run(run())


async def check_prepared(settings: Settings) -> None:
    """For a login that owns nothing. Raises ConfigurationError unless the owner has migrated."""
    url = settings.database_url.get_secret_value() if settings.database_url is not None else ""
    acting = Database.connect(url, settings, role=settings.app_role)
    try:
        await check_walls(acting)
        revision = await current_revision(acting)
    finally:
        await acting.close()
    if revision != latest_revision():
        raise ConfigurationError(
            f"The database is at revision {revision}: run `ragstore migrate` with RAGSTORE_OWNER_DATABASE_URL set to"
            " the owner of the tables."
        )


async def ensure_admin_key(owner: Database, settings: Settings) -> Path | None:
    chosen = settings.admin_key.get_secret_value() if settings.admin_key is not None else None
    path = settings.data_dir / KEY_FILE

    def keep(key: str) -> None:
        try:
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, f"{key}\n".encode())
        except OSError as error:
            raise ConfigurationError(f"The admin key cannot be written to {path}: {error.strerror}.") from None

    return path if await ensure_first_tenant(owner, chosen, keep) else None


@asynccontextmanager
async def connect_as_owner(settings: Settings) -> AsyncIterator[Database]:
    """Raises ConfigurationError for what the database refuses; its words never hold the password."""
    url = settings.owner_database_url or settings.database_url
    if url is None:
        raise ConfigurationError("Set RAGSTORE_DATABASE_URL.")
    database = Database.connect(url.get_secret_value(), settings)
    try:
        with explain_refusals():
            yield database
    finally:
        await database.close()


@contextmanager
def explain_refusals() -> Iterator[None]:
    """What the database refuses, as a ConfigurationError of one line."""
    try:
        yield
    except TimeoutError:
        raise ConfigurationError("The database does not answer; is RAGSTORE_DATABASE_URL right?") from None
    except (OSError, DatabaseUnavailable) as error:
        raise ConfigurationError(f"The database cannot be reached: {first_line(error)}") from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError) as error:
        raise ConfigurationError(f"The database refuses: {first_line(error)}") from None
    except CommandError as error:
        raise ConfigurationError(f"The migration is not possible: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return next(iter(str(cause).splitlines()), "") or type(cause).__name__
