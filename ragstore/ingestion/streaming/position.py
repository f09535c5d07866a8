"""Where a named import stands: moved on in the very transaction that stores the documents."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from msgspec import structs

from ragstore.database import AsyncSession, TenantDatabase
from ragstore.errors import Conflict
from ragstore.idempotency.service import Recorder
from ragstore.ingestion.schemas import UpsertResults
from ragstore.ingestion.streaming import queries
from ragstore.ingestion.streaming.parsing import NOTHING_READ
from ragstore.ingestion.streaming.queries import Claim
from ragstore.ingestion.streaming.schemas import Counts

Value = TypeVar("Value")
PATIENCE = 10.0  # seconds an earlier request of the name gets to end
PAUSE = 0.1


@dataclass(frozen=True)
class Position:
    """After so many lines; `held` is None for an import without a name, which only counts."""

    counts: Counts = field(default_factory=Counts)
    digest: bytes = NOTHING_READ
    held: Claim | None = None

    async def store(self, session: AsyncSession) -> None:
        """Raises Conflict when another request has taken the import over: what this one did with it is rolled back."""
        if self.held is None:
            return
        values: dict[str, Any] = structs.asdict(self.counts) | {"digest": self.digest}
        if not await queries.advance(session, self.held, values):
            raise Conflict(f"Another request goes on with the import {self.held.name!r}.")


def add(counts: Counts, lines: int, results: Iterable[Any]) -> Counts:
    """`results`, each with a status and its chunks, are those of the lines up to `lines`."""
    found = list(results)
    statuses = Counter(one.status for one in found)
    return Counts(
        lines,
        counts.created + statuses["created"],
        counts.updated + statuses["updated"],
        counts.unchanged + statuses["unchanged"],
        counts.failed + statuses["failed"],
        counts.chunks + sum(one.chunks or 0 for one in found),
    )


@dataclass(frozen=True)
class PositionRecorder(Recorder):
    """Stores, with the documents of a batch, that its lines are done. `failed` of them had no document."""

    before: Position = field(default_factory=Position)
    lines: int = 0
    digest: bytes = NOTHING_READ
    failed: int = 0

    async def answer(
        self, session: AsyncSession, value: Value, *, status: int | None = None, stored: object = None
    ) -> Value:
        await self.after(cast(UpsertResults, value)).store(session)
        return value

    def after(self, answer: UpsertResults) -> Position:
        counts = add(self.before.counts, self.lines, answer.results)
        counts = structs.replace(counts, failed=counts.failed + self.failed)
        return Position(counts, self.digest, self.before.held)


async def take(database: TenantDatabase, collection_id: uuid.UUID, name: str) -> Position:
    """Where the import stands, and from now on only this request's. An earlier request whose connection broke may
    still be storing its last batch: that is waited for. Raises Conflict when it goes on and on.
    """
    wanted = Claim(database.tenant_id, collection_id, name, uuid.uuid4())
    deadline = time.monotonic() + PATIENCE
    while True:
        async with database.transaction() as session:
            found = await queries.take_position(session, wanted, NOTHING_READ)
        if found is not None:
            counts = Counts(*(getattr(found, one) for one in structs.asdict(Counts())))
            return Position(counts, found.digest, wanted)
        if time.monotonic() > deadline:
            raise Conflict(f"Another request is importing as {name!r}.", retry_after=5)
        await asyncio.sleep(PAUSE)


async def let_go(database: TenantDatabase, held: Claim) -> None:
    async with database.transaction() as session:
        await queries.let_go(session, held)
