"""Keeps the code index index-only: Postgres reads a row's visibility from the heap until VACUUM has been there."""

import asyncio
import contextlib
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ragstore.database import Database
from ragstore.document import queries

ENOUGH_ROWS = 500  # fewer do not change what the planner should know
MANY_ROWS = 5000
QUIET_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass
class Vacuum:
    """Vacuums after imports: while rows keep coming once every few thousand, and when they have stopped coming."""

    database: Database
    rows: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def note(self, rows: int) -> None:
        """So many embeddings were written."""
        self.rows += rows
        if self.rows:
            self.wake.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="vacuum")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _wait_for_quiet(self) -> int:
        """How many rows there are to vacuum for."""
        seen = 0
        while seen < self.rows < MANY_ROWS:
            seen = self.rows
            await asyncio.sleep(QUIET_SECONDS)
        return self.rows

    async def _run(self) -> None:
        while True:
            await self.wake.wait()
            rows = await self._wait_for_quiet()
            self.rows -= rows
            if not self.rows:
                self.wake.clear()
            try:
                await queries.vacuum_embeddings(self.database.engine, analyze=rows >= ENOUGH_ROWS)
            except (SQLAlchemyError, OSError) as error:  # searching is right without it, only slower
                log.warning("vacuum failed", error=type(error).__name__)
