"""The pool and the transactions: the one place that connects, begins and commits."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool
from sqlmodel.ext.asyncio.session import AsyncSession

from ragstore.columns import register_codecs
from ragstore.database_url import parse_database_url
from ragstore.errors import DatabaseUnavailable, PoolExhausted, RagstoreError
from ragstore.settings import Settings
from ragstore.sqlstate import translate_database_error


def create_engine(url: URL, connect_arguments: dict[str, Any], settings: Settings) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout,
        pool_recycle=settings.pool_recycle,
        pool_use_lifo=True,  # surplus connections idle out, the used ones keep their caches
        hide_parameters=True,  # a document's text never reaches a log through an exception
        connect_args=connect_arguments,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def register(dbapi_connection: Any, record: object) -> None:
        dbapi_connection.run_async(register_codecs)

    return engine


def connect_arguments(settings: Settings) -> dict[str, Any]:
    milliseconds = str(int(settings.statement_timeout * 1000))
    return {
        "timeout": settings.connect_timeout,
        # A half-open socket answers nothing: give up on it a little after the server would have.
        "command_timeout": settings.statement_timeout + 5,
        "server_settings": {
            "application_name": "ragstore",
            "jit": "off",
            "statement_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
        },
    }


@dataclass(frozen=True)
class Database:
    """One engine and pool for the whole process."""

    engine: AsyncEngine
    request_pool_timeout: float

    @classmethod
    def connect(cls, url: str, settings: Settings) -> "Database":
        """Opens no connection yet. Raises ConfigurationError for a URL that cannot be understood."""
        parsed, from_url = parse_database_url(url)
        arguments = connect_arguments(settings)
        arguments["server_settings"] |= from_url.pop("server_settings", {})
        engine = create_engine(parsed, arguments | from_url, settings)
        return cls(engine, settings.request_pool_timeout)

    @asynccontextmanager
    async def transaction(self, *, wait: float | None = None) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed at the end of the block, or rolled back if the block raises.

        Raises PoolExhausted when no connection is free in `wait` seconds (a request's patience by default),
        and the mapped error of `sqlstate.py` when Postgres refuses a statement or the commit.
        """
        try:
            async with AsyncSession(self.engine, expire_on_commit=False) as session:
                await self._check_out(session, self.request_pool_timeout if wait is None else wait)
                yield session
                await session.commit()
        except DBAPIError as error:
            raise translate_database_error(error) from error
        except (ConnectionError, OSError) as error:
            raise DatabaseUnavailable(retry_after=1) from error

    async def _check_out(self, session: AsyncSession, wait: float) -> None:
        try:
            async with asyncio.timeout(wait):
                await session.connection()
        except (TimeoutError, PoolTimeout) as error:
            raise self._explain_timeout() from error

    def _explain_timeout(self) -> RagstoreError:
        pool = self.engine.pool
        if isinstance(pool, QueuePool) and pool.checkedout() < pool.size() + pool._max_overflow:
            return DatabaseUnavailable(retry_after=1)
        return PoolExhausted(retry_after=1)

    async def ping(self) -> None:
        """Raises a RagstoreError when the database does not answer a statement."""
        async with self.transaction() as session:
            await (await session.connection()).execute(text("SELECT 1"))

    async def close(self) -> None:
        await self.engine.dispose()


@dataclass(frozen=True)
class TenantDatabase:
    """The database as one tenant may use it: every transaction of a request or job begins here."""

    database: Database
    tenant_id: uuid.UUID

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        async with self.database.transaction() as session:
            yield session


__all__ = ["AsyncSession", "Database", "InterfaceError", "TenantDatabase"]
