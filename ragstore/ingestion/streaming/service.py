"""A batch of lines after the other into a collection, each stored with how far the import has come."""

import asyncio
import re
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from msgspec import structs

from ragstore.collection.service import CollectionService
from ragstore.columns import new_id
from ragstore.errors import (
    Conflict,
    FieldError,
    InvalidRequest,
    NotFound,
    RagstoreError,
    TimedOut,
    TooManyRequests,
    Unavailable,
)
from ragstore.fields import check_text
from ragstore.ingestion.schemas import DocumentFault, DocumentResult, FieldFault
from ragstore.ingestion.service import IngestionService
from ragstore.ingestion.streaming import queries
from ragstore.ingestion.streaming.parsing import Batch
from ragstore.ingestion.streaming.position import Position, PositionRecorder, let_go, take
from ragstore.ingestion.streaming.schemas import ImportPositionRead, LineResult

LONGEST_NAME = 200  # characters
PATIENCE = 60.0  # seconds a batch is tried again while the database or the provider is away
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
WITHIN_BATCH = re.compile(r"documents\[(\d+)\]\.?")


@dataclass
class Importer:
    """One import. `position` is what is stored so far; `halt` ends the patience with what is away."""

    ingestion: IngestionService
    collection: uuid.UUID
    position: Position = field(default_factory=Position)
    halt: asyncio.Event = field(default_factory=asyncio.Event)

    async def store(self, batch: Batch) -> list[LineResult]:
        """The answers to its lines, in order. Raises the RagstoreError because of which the import must stop; what
        may pass is waited for.
        """
        number_documents(batch)
        deadline, pause = 0.0, FIRST_PAUSE
        while True:
            try:
                return await self._store(batch)
            except RagstoreError as error:
                now = time.monotonic()
                deadline = deadline or now + PATIENCE
                pause = max(pause, error.retry_after or 0)
                if not may_pass(error) or self.halt.is_set() or now + pause > deadline:
                    raise
            with suppress(TimeoutError):
                await asyncio.wait_for(self.halt.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _store(self, batch: Batch) -> list[LineResult]:
        documents = [entry.document for entry in batch.entries if entry.document is not None]
        bad = sum(entry.answer is not None for entry in batch.entries)
        recorder = PositionRecorder(before=self.position, lines=batch.end.number, digest=batch.end.digest, failed=bad)
        stored = await replace(self.ingestion, recorder=recorder).upsert_each(self.collection, documents)
        position = recorder.after(stored)
        if position.held is not None and all(one.status == "failed" for one in stored.results):  # else it is recorded
            async with self.ingestion.database.transaction() as session:
                await position.store(session)
        self.position = position
        return list_answers(batch, stored.results)

    async def close(self) -> None:
        """Best effort: a position that nobody lets go is free after some seconds."""
        if self.position.held is not None:
            with suppress(RagstoreError):
                await let_go(self.ingestion.database, self.position.held)


def may_pass(error: RagstoreError) -> bool:
    return isinstance(error, Unavailable | TimedOut | TooManyRequests) or error.retry_after is not None


def number_documents(batch: Batch) -> None:
    """A commit may have happened although its answer was lost: with a key, storing the batch again changes nothing."""
    for entry in batch.entries:
        if entry.document is not None and entry.document.key is None:
            entry.document.key = str(new_id())


def list_answers(batch: Batch, results: Sequence[DocumentResult]) -> list[LineResult]:
    waiting = iter(results)
    answers = []
    for entry in batch.entries:
        if entry.document is not None:
            one = next(waiting)
            error = None if one.error is None else name_line(one.error)
            answers.append(LineResult(entry.number, one.key, one.id, one.status, one.version, one.chunks, error))
        elif entry.answer is not None:
            answers.append(entry.answer)
    return answers


def name_line(fault: DocumentFault) -> DocumentFault:
    """The paths are those of a line: where it stood in its batch is no matter to anybody."""
    errors = [FieldFault(WITHIN_BATCH.sub("", one.path), WITHIN_BATCH.sub("", one.message)) for one in fault.errors]
    return structs.replace(fault, detail=WITHIN_BATCH.sub("", fault.detail).lstrip(), errors=errors)


async def open_import(ingestion: IngestionService, collection: str, name: str | None, after: int) -> Importer:
    """Raises NotFound for an unknown collection, Conflict for a name under which a request imports now, or for lines
    left out of the body that were not stored before.
    """
    if name is None and after:
        raise InvalidRequest(
            "after needs import: only a named import knows what was stored.",
            errors=(FieldError("after", "needs import, the name of one that was begun"),),
        )
    check_name(name)
    database = ingestion.database
    async with database.transaction() as session:
        handle = await CollectionService(session, database.tenant_id).open(collection)
    if name is None:
        return Importer(ingestion, handle.id)
    importer = Importer(ingestion, handle.id, await take(database, handle.id, name))
    if after and after != (stored := importer.position.counts.lines):
        await importer.close()
        raise Conflict(
            f"{stored} lines of the import {name!r} are stored: send it from line {stored + 1} on.",
            errors=(FieldError("after", f"must be {stored}"),),
        )
    return importer


def check_name(name: str | None) -> None:
    faults = list(check_text("import", name))
    if name is not None and not 1 <= len(name) <= LONGEST_NAME:
        faults.append(FieldError("import", f"must have 1 to {LONGEST_NAME} characters"))
    if faults:
        raise InvalidRequest(f"import {faults[0].message}.", errors=tuple(faults))


async def read_position(ingestion: IngestionService, collection: str, name: str) -> ImportPositionRead:
    check_name(name)
    database = ingestion.database
    async with database.transaction() as session:
        handle = await CollectionService(session, database.tenant_id).open(collection)
        found = await queries.find_position(session, database.tenant_id, handle.id, name)
    if found is None:
        raise NotFound(f"There is no import named {name!r}, or it is over for a week.")
    return ImportPositionRead(
        found.name,
        found.lines,
        found.created,
        found.updated,
        found.unchanged,
        found.failed,
        found.chunks,
        found.updated_at,
    )
