"""One build on the owner's connection, from its statement to a valid index or to nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from ragstore.database import Database, RawConnection
from ragstore.index import queries
from ragstore.index.queries import IndexKey

CLEAN_SECONDS = 10.0  # what is not removed by then is left to the next job, or to the sweep
BROKEN = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

# Is told the phase and the rows done so far, and answers whether the index is still wanted.
Watch = Callable[[str, int], Awaitable[bool]]


@asynccontextmanager
async def open_connection(owner: Database) -> AsyncIterator[RawConnection]:
    """Outside any transaction."""
    async with owner.engine.connect() as connection:
        yield (await connection.get_raw_connection()).driver_connection


@dataclass(frozen=True)
class Build:
    """`connection` does the work, others of `owner` look at it and cancel it.

    The task of the statement is never cancelled itself: the driver would give up the connection, and with it the lock,
    while Postgres goes on building.
    """

    owner: Database
    connection: RawConnection
    key: IndexKey
    poll: float

    async def run(self, watch: Watch) -> None:
        """Ends early, with nothing left behind, when `watch` says no, or raises, or this task is cancelled."""
        building = asyncio.create_task(queries.build_index(self.connection, self.key))
        try:
            while not building.done():
                await asyncio.wait({building}, timeout=self.poll)
                if not building.done() and not await self._report(watch):
                    await self._break_off(building)
                    return
            building.result()
        except BaseException:
            with contextlib.suppress(*BROKEN):
                await self._break_off(building)
            raise
        finally:
            if not building.done():  # a second cancellation, or a backend that does not end
                self.connection.terminate()
            await asyncio.gather(building, return_exceptions=True)

    async def _report(self, watch: Watch) -> bool:
        try:
            async with open_connection(self.owner) as connection:
                progress = await queries.read_progress(connection, self.connection.get_server_pid())
        except BROKEN:  # not seen this time: no reason to lose the build
            return True
        return progress is None or await watch(*progress)

    async def _break_off(self, building: "asyncio.Task[None]") -> None:
        async with asyncio.timeout(CLEAN_SECONDS):
            while not building.done():  # again, if it had not begun when the first cancellation came
                async with open_connection(self.owner) as connection:
                    await queries.cancel_statement(connection, self.connection.get_server_pid())
                await asyncio.wait({building}, timeout=0.5)
            await self._remove_remains()

    async def _remove_remains(self) -> None:
        found = await queries.find_own_index(self.connection, self.key.name)
        if found is not None and not found.valid:
            await queries.drop_index(self.connection, self.key.name)
