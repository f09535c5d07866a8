"""Alembic's way in: `alembic upgrade head` and `ragstore migrate` both end here."""

import asyncio
from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection
from sqlmodel import SQLModel

import ragstore.chat.tables
import ragstore.collection.tables
import ragstore.document.tables
import ragstore.file.tables
import ragstore.idempotency.tables
import ragstore.ingestion.streaming.tables
import ragstore.job.tables
import ragstore.reembedding.tables
import ragstore.tenant.tables  # noqa: F401  # each import registers its tables
from ragstore.collection.indexing import PREFIX
from ragstore.columns import Code, SparseVector, Vector
from ragstore.database import Database
from ragstore.roles import Roles, ensure_roles
from ragstore.settings import Settings, load_settings


def render_type(kind: str, item: Any, autogenerate: Any) -> str | Literal[False]:
    """Our vector types by their short names, so that a revision reads well."""
    if kind == "type" and isinstance(item, SparseVector):
        autogenerate.imports.add("from ragstore.columns import SparseVector")
        return "SparseVector()"
    if kind == "type" and isinstance(item, Vector | Code):
        autogenerate.imports.add("from ragstore.columns import Code, Vector")
        return f"{type(item).__name__}({item.dim if isinstance(item, Vector) else item.length})"
    return False


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Indexes of single collections are the service's business: they come and go."""
    return not (kind == "index" and name is not None and name.startswith(PREFIX))


def run_on(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_item=render_type,
        include_name=include_name,
        compare_server_default=False,  # Postgres respells every default
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_with_roles(connection: Connection, settings: Settings) -> None:
    roles = Roles(settings.app_role)
    ensure_roles(connection, roles)
    connection.commit()
    context.config.attributes |= roles.by_purpose()
    run_on(connection)


async def run_alone() -> None:
    """Without a connection handed over by `ragstore.migrate`: the settings say where."""
    settings = load_settings()
    url = settings.owner_database_url or settings.database_url
    if url is None:
        raise SystemExit("Set RAGSTORE_DATABASE_URL, or run `ragstore migrate`, which knows the embedded server.")
    database = Database.connect(url.get_secret_value(), settings)
    async with database.engine.connect() as connection:
        await connection.run_sync(run_with_roles, settings)
        await connection.commit()
    await database.close()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    run_on(handed_over)
else:
    asyncio.run(run_alone())
