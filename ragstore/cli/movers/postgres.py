"""One connection to somebody's Postgres, read by plain code a few rows at a time."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, Self, TypeVar

from sqlalchemy import Row
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncResult, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.sql import Executable

from ragstore.cli.movers.queries import prepare_session
from ragstore.database_url import parse_database_url
from ragstore.errors import ConfigurationError

Answer = TypeVar("Answer")
ROWS_A_FETCH = 200


class PostgresReader:
    """All of it is one read-only transaction: what others write meanwhile is not half in it."""

    def __init__(self, url: str) -> None:
        parsed, arguments = parse_database_url(url)
        self.runner = asyncio.Runner()
        self.engine = create_async_engine(parsed, poolclass=NullPool, connect_args=arguments, hide_parameters=True)
        try:
            self.connection: AsyncConnection = self._wait(self._connect())
            self.fetch(prepare_session())
        except BaseException:
            self.runner.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def _connect(self) -> AsyncConnection:
        connection = self.engine.connect()
        await connection.start()
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return connection

    async def _open_cursor(self, statement: Executable) -> AsyncResult[*tuple[Any, ...]]:
        return await self.connection.stream(statement, execution_options={"yield_per": ROWS_A_FETCH})

    def close(self) -> None:
        self._wait(self.connection.close())
        self._wait(self.engine.dispose())
        self.runner.close()

    def fetch(self, statement: Executable) -> list[Row[*tuple[Any, ...]]]:
        """All rows; for answers that are small."""
        return list(self._wait(self.connection.execute(statement)))

    def fetch_one(self, statement: Executable) -> Row[*tuple[Any, ...]] | None:
        return next(iter(self.fetch(statement)), None)

    def stream(self, statement: Executable) -> Iterator[Row[*tuple[Any, ...]]]:
        """By a cursor of the server: memory holds a few hundred rows, however many there are."""
        result = self._wait(self._open_cursor(statement))
        try:
            while rows := self._wait(result.fetchmany(ROWS_A_FETCH)):
                yield from rows
        finally:
            self._wait(result.close())

    def _wait(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            return self.runner.run(work)
        except (SQLAlchemyError, OSError) as error:
            cause = getattr(error, "orig", None) or error
            reason = " ".join(str(cause).split()).rpartition(">: ")[2]
            raise ConfigurationError(f"The database to move from cannot be read: {reason}") from None
