"""The pool and the transactions: the one place that connects, begins and commits."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import greenlet_spawn
from sqlmodel.ext.asyncio.session import AsyncSession

from ragstore.columns import register_codecs
from ragstore.database_url import parse_database_url
from ragstore.errors import DatabaseUnavailable, InternalError, PoolExhausted, RagstoreError
from ragstore.failpoints import Failpoint, failpoint
from ragstore.pooling import IDLE_SECONDS, LastingPool
from ragstore.settings import Settings
from ragstore.sqlstate import translate_database_error
from ragstore.statements import (
    DRIVER,
    AnySession,
    Lease,
    RawConnection,
    RawLease,
    Reading,
    SessionLease,
    fetch,
    number_parameters,
    write,
)

Plan = Literal["cached", "custom"]
ROLLBACK_SECONDS = 5.0
# InternalClientError: the server said good-bye at the moment we began to speak
BROKEN = (asyncpg.InterfaceError, asyncpg.InternalClientError)
LOST = (OSError, *BROKEN, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)


def create_engine(url: URL, connect_arguments: dict[str, Any], settings: Settings) -> AsyncEngine:
    engine = create_async_engine(
        url,
        poolclass=LastingPool,
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout,
        pool_recycle=settings.pool_recycle,
        pool_use_lifo=True,  # surplus connections grow old, the used ones keep their caches
        hide_parameters=True,  # a document's text never reaches a log through an exception
        connect_args=connect_arguments,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def register(dbapi_connection: Any, record: object) -> None:
        dbapi_connection.run_async(register_codecs)

    @event.listens_for(engine.sync_engine, "reset")
    def leave_nothing_behind(dbapi_connection: Any, record: object, state: object) -> None:
        """Whatever happened, no transaction, and with it no tenant, goes back to the pool."""
        dbapi_connection.run_async(roll_back)

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
    def connect(cls, url: str, settings: Settings, *, role: str | None = None) -> "Database":
        """Opens no connection yet. `role` is what every connection acts as: a start-up option, which RESET ROLE
        does not undo. Raises ConfigurationError for a URL that cannot be understood.
        """
        parsed, from_url = parse_database_url(url)
        arguments = connect_arguments(settings)
        arguments["server_settings"] |= from_url.pop("server_settings", {}) | ({"role": role} if role else {})
        engine = create_engine(parsed, arguments | from_url, settings)
        return cls(engine, settings.request_pool_timeout)

    @asynccontextmanager
    async def transaction(
        self,
        tenant_id: uuid.UUID | None = None,
        *,
        wait: float | None = None,
        plan: Plan = "cached",
        snapshot: bool = False,
        options: Mapping[str, int | str] | None = None,
    ) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed at the end of the block, or rolled back if the block raises.

        It sees the rows of `tenant_id`, and without one the rows of nobody. `plan="custom"` plans each statement for
        its own parameters; with `snapshot` all of them see the same state; `options` are settings of Postgres for this
        transaction, words and numbers only. Raises PoolExhausted when no connection is free in `wait` seconds (a
        request's patience by default), and the mapped error of `sqlstate.py` when Postgres refuses a statement or the
        commit.
        """
        lease = SessionLease(self.engine)
        statement = begin_statement(tenant_id, plan, snapshot, options or {})
        async with self._hold(lease, statement, self.request_pool_timeout if wait is None else wait) as connection:
            lease.session.info[DRIVER] = connection
            yield lease.session
            await lease.session.flush()
            failpoint(Failpoint.BEFORE_COMMIT)
        failpoint(Failpoint.AFTER_COMMIT)

    @asynccontextmanager
    async def reading(
        self,
        tenant_id: uuid.UUID | None,
        *,
        plan: Plan = "custom",
        snapshot: bool = True,
        options: Mapping[str, int | str] | None = None,
    ) -> AsyncIterator[Reading]:
        """A transaction for `fetch` alone, without SQLAlchemy's session, which costs a search more than all else in
        Python. Otherwise like `transaction`.
        """
        statement = begin_statement(tenant_id, plan, snapshot, options or {})
        async with self._hold(RawLease(self.engine), statement, self.request_pool_timeout) as connection:
            yield Reading(connection)

    @asynccontextmanager
    async def _hold(self, lease: Lease, statement: str, wait: float) -> AsyncIterator[RawConnection]:
        """From BEGIN to COMMIT, or to ROLLBACK when the block raises; then the connection goes back."""
        try:
            connection = await self._begin(lease, statement, wait)
            try:
                yield connection
                await commit(connection)
            except BaseException:
                await asyncio.shield(send_rollback(connection))
                raise
            finally:
                await asyncio.shield(lease.give_back())
        except (DBAPIError, asyncpg.PostgresError, *BROKEN) as error:
            raise translate_database_error(error) from error
        except OSError as error:
            raise DatabaseUnavailable(retry_after=1) from error

    async def _begin(self, lease: Lease, statement: str, wait: float) -> RawConnection:
        """A connection in a transaction. Nothing was done yet, so one that turns out dead is replaced, with all that
        are idle, and the database asked once more: a restart of Postgres fails no request that comes after it.
        """
        # The driver's own BEGIN would be a round trip of its own: ours carries the tenant along.
        for again in (True, False):
            connection = None
            try:
                connection = await self._check_out(lease, wait)
                await connection.execute(statement)
            except BaseException as error:
                if connection is not None:
                    connection.terminate()  # it may have begun all the same, and would go back with the tenant set
                await asyncio.shield(lease.give_back())
                if isinstance(error, DBAPIError):  # no connection could be made
                    raise DatabaseUnavailable(retry_after=1) from error
                if not (again and isinstance(error, LOST)):
                    raise
                await self.engine.dispose()
            else:
                return connection
        raise AssertionError("unreachable")

    async def _check_out(self, lease: Lease, wait: float) -> RawConnection:
        try:
            async with asyncio.timeout(wait):
                return await lease.take()
        except (TimeoutError, PoolTimeout) as error:
            raise self._explain_timeout() from error

    def _explain_timeout(self) -> RagstoreError:
        pool = self.engine.pool
        if isinstance(pool, QueuePool) and pool.checkedout() < pool.size():
            return DatabaseUnavailable(retry_after=1)
        return PoolExhausted(retry_after=1)

    async def ping(self) -> None:
        """Raises a RagstoreError when the database does not answer."""
        async with self.transaction():
            pass

    async def keep_trimmed(self) -> None:
        """For as long as the process runs: surplus connections are closed when nobody needs them."""
        while True:
            await asyncio.sleep(IDLE_SECONDS / 2)
            pool = self.engine.pool
            if isinstance(pool, LastingPool):
                await greenlet_spawn(pool.trim)

    async def close(self) -> None:
        await self.engine.dispose()


def begin_statement(
    tenant_id: uuid.UUID | None,
    plan: Plan,
    snapshot: bool = False,
    options: Mapping[str, int | str] = MappingProxyType({}),
) -> str:
    """Set for this transaction only, and as text: `set_config` would not reach the shards of a distributed table.

    A UUID holds nothing but hexadecimal digits and hyphens.
    """
    statements = ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if snapshot else "BEGIN"]
    if tenant_id is not None:
        statements.append(f"SET LOCAL app.tenant = '{uuid.UUID(str(tenant_id))}'")
    if plan == "custom":
        statements.append("SET LOCAL plan_cache_mode = force_custom_plan")
    statements += [f"SET LOCAL {name} = {value}" for name, value in options.items()]
    return "; ".join(statements)


async def commit(connection: RawConnection) -> None:
    """Postgres answers ROLLBACK, not an error, to the COMMIT of a transaction in which a statement failed."""
    if await connection.execute("COMMIT") != "COMMIT":
        raise InternalError("The transaction was rolled back: a statement in it had failed.")


async def roll_back(connection: RawConnection) -> None:
    """What the pool does with a connection that comes back."""
    if not connection.is_closed() and connection.is_in_transaction():
        await send_rollback(connection)


async def send_rollback(connection: RawConnection) -> None:
    """Whatever the driver believes: of a statement that was cancelled it does not know yet whether it was carried out.

    A connection that cannot even do this is cut: the pool replaces it.
    """
    if connection.is_closed():
        return
    try:
        await connection.execute("ROLLBACK", timeout=ROLLBACK_SECONDS)
    except (asyncpg.PostgresError, *BROKEN, OSError):
        connection.terminate()


@dataclass(frozen=True)
class TenantDatabase:
    """The database as one tenant may use it: every transaction of a request or job begins here."""

    database: Database
    tenant_id: uuid.UUID

    @asynccontextmanager
    async def transaction(
        self, *, plan: Plan = "cached", snapshot: bool = False, options: Mapping[str, int | str] | None = None
    ) -> AsyncIterator[AsyncSession]:
        async with self.database.transaction(self.tenant_id, plan=plan, snapshot=snapshot, options=options) as session:
            yield session

    @asynccontextmanager
    async def reading(self, *, options: Mapping[str, int | str] | None = None) -> AsyncIterator[Reading]:
        async with self.database.reading(self.tenant_id, options=options) as reading:
            yield reading


__all__ = [
    "AnySession",
    "AsyncSession",
    "Database",
    "RawConnection",
    "Reading",
    "TenantDatabase",
    "fetch",
    "number_parameters",
    "write",
]
