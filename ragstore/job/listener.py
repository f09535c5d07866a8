"""Hears of new and cancelled jobs over one connection of its own, which it replaces when it breaks."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from ragstore.database import Database
from ragstore.job import queries

LOOK_SECONDS = 20.0  # a connection that died in silence is noticed so late
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
BROKEN = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

log = structlog.get_logger(__name__)


@dataclass
class Listener:
    """`database` is a pool of its own: its one connection is kept for good. `hear` gets what was notified, and an
    empty notice whenever listening begins, because what was said before was missed.
    """

    database: Database
    hear: Callable[[str], None] = lambda notice: None
    connected: bool = False
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="job listener")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.database.close()

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                await self._listen()
            except BROKEN as error:
                log.warning("not listening for jobs", error=type(error).__name__)
            pause = FIRST_PAUSE if self.connected else min(pause * 2, LONGEST_PAUSE)
            self.connected = False
            await asyncio.sleep(pause)

    async def _listen(self) -> None:
        """Until the connection ends."""
        async with self.database.engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            ended = asyncio.Event()
            raw.add_termination_listener(lambda _: ended.set())
            try:
                await raw.add_listener(queries.CHANNEL, lambda *told: self.hear(told[-1]))
                self.connected = True
                self.hear("")
                while not ended.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(ended.wait(), LOOK_SECONDS)
                        return
                    await queries.ping(raw)
            finally:
                await connection.invalidate()  # nobody else gets a connection that listens, or a dead one
