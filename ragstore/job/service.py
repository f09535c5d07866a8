"""Jobs as their tenant sees them, and how work is put into the queue."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ragstore.columns import new_id
from ragstore.database import AsyncSession
from ragstore.errors import Conflict, NotFound
from ragstore.job import queries
from ragstore.job.outcomes import describe_error
from ragstore.job.schemas import ENDED, JobError, JobRead, State
from ragstore.job.tables import Job
from ragstore.paging import Page, decode_cursor, encode_cursor

MOST_ATTEMPTS = 5
FILLING = ("ingest", "file")  # kinds of jobs that store documents in the collection of their payload
NOBODY = uuid.UUID(int=0)  # jobs of the system have this tenant, which nobody is


async def enqueue(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    kind: str,
    payload: Mapping[str, Any] | None = None,
    *,
    priority: int = 0,
    delay: float = 0,
    dedupe_key: str | None = None,
    max_attempts: int = MOST_ATTEMPTS,
) -> uuid.UUID:
    """Work that begins when the caller's transaction has committed, `delay` seconds from now at the earliest.

    The smaller `priority` runs first. While a job of the same kind and `dedupe_key` waits, that one is answered, and
    it will not begin before the caller has committed. Enqueue last in a transaction: with a `dedupe_key`, others who
    do the same wait for its commit.
    """
    values = to_values(kind, payload, priority, delay, dedupe_key, max_attempts)
    return await queries.enqueue(session, tenant_id, **values)


async def enqueue_system(
    session: AsyncSession,
    kind: str,
    payload: Mapping[str, Any] | None = None,
    *,
    priority: int = 0,
    delay: float = 0,
    dedupe_key: str | None = None,
    max_attempts: int = MOST_ATTEMPTS,
) -> uuid.UUID:
    """The same for work that belongs to no tenant: any tenant's transaction may ask for it, none sees it."""
    values = to_values(kind, payload, priority, delay, dedupe_key, max_attempts)
    return await queries.enqueue(session, None, **values)


def to_values(
    kind: str,
    payload: Mapping[str, Any] | None,
    priority: int,
    delay: float,
    dedupe_key: str | None,
    max_attempts: int,
) -> dict[str, Any]:
    return {
        "id": new_id(),
        "kind": kind,
        "payload": dict(payload or {}),
        "priority": priority,
        "delay": timedelta(seconds=delay),
        "dedupe_key": dedupe_key,
        "max_attempts": max_attempts,
    }


ABOUT = ("collection_id", "file_id")  # of payloads, for those who look at jobs


@dataclass(frozen=True)
class JobService:
    """Raises NotFound for a job the tenant does not have."""

    session: AsyncSession
    tenant_id: uuid.UUID

    async def list(self, *, state: State | None, kind: str | None, cursor: str | None, limit: int) -> Page[JobRead]:
        """Newest first."""
        before = decode_cursor(cursor, uuid.UUID) if cursor else None
        rows = await queries.list_jobs(
            self.session, self.tenant_id, state=state, kind=kind, before=before, limit=limit + 1
        )
        items = [to_read(row) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def read(self, job_id: uuid.UUID) -> JobRead:
        return to_read(await self._find(job_id))

    async def cancel(self, job_id: uuid.UUID) -> JobRead:
        """What a running job does in the transaction it has open is waited for. Raises Conflict when it has ended."""
        row = await self._find(job_id, lock=True)
        if row.state == "cancelled":
            return to_read(row)
        if row.state in ENDED:
            raise Conflict(f"The job has ended: it is {row.state}.")
        await queries.cancel(self.session, self.tenant_id, job_id, row.fence)
        return await self._read_changed(row)

    async def retry(self, job_id: uuid.UUID) -> JobRead:
        """Raises Conflict for a job that neither failed nor was cancelled, or that has a duplicate waiting."""
        row = await self._find(job_id, lock=True)
        if row.state not in ("failed", "cancelled"):
            raise Conflict(f"Only a failed or cancelled job can be tried again: this one is {row.state}.")
        await queries.retry(self.session, self.tenant_id, job_id)
        return await self._read_changed(row)

    async def cancel_filling(self, collection_id: uuid.UUID) -> tuple[Sequence[uuid.UUID], Sequence[uuid.UUID]]:
        """Whatever still wants to store documents in a collection that is being deleted; answers the jobs and the files
        they name. Before the collection is locked: a job has its row locked first, and then needs the collection.
        """
        error = describe_error(NotFound("The collection was deleted."))
        rows = await queries.cancel_filling(self.session, self.tenant_id, collection_id, FILLING, error)
        return [row.id for row in rows], [uuid.UUID(row.file_id) for row in rows if row.file_id]

    async def _read_changed(self, row: Job) -> JobRead:
        await self.session.refresh(row)
        return to_read(row)

    async def _find(self, job_id: uuid.UUID, *, lock: bool = False) -> Job:
        row = await queries.find(self.session, self.tenant_id, job_id, lock=lock)
        if row is None:
            raise NotFound(f"There is no job {job_id}.")
        return row


def measure_progress(row: Job) -> float | None:
    """From 0 to 1, to four places."""
    if row.state == "succeeded":
        return 1.0
    done, total = row.counts.get("done"), row.counts.get("total")
    if done is None or not total:
        return None
    progress: float = min(max(done / total, 0.0), 1.0)
    return round(progress, 4)


def estimate_rest(row: Job) -> float | None:
    """As of the last report, by the database's clock: the same row is always read the same."""
    done, total = row.counts.get("done"), row.counts.get("total")
    if row.state != "running" or row.started_at is None or done is None or not total or done <= row.done_before:
        return None
    seconds = (row.updated_at - row.started_at).total_seconds() / (done - row.done_before)
    rest: float = max(total - done, 0) * max(seconds, 0.0)
    return round(rest, 1)


def to_read(row: Job) -> JobRead:
    state: Any = row.state
    return JobRead(
        id=row.id,
        kind=row.kind,
        state=state,
        priority=row.priority,
        counts=row.counts,
        progress=measure_progress(row),
        eta_seconds=estimate_rest(row),
        message=row.message,
        result=row.result,
        error=JobError(**row.error) if row.error else None,
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        run_at=row.run_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        about=read_about(row),
    )


def read_about(row: Job) -> dict[str, str]:
    about = {name: row.payload[name] for name in ABOUT if isinstance(row.payload.get(name), str)}
    fields = row.payload.get("fields")
    return about | ({"key": fields["key"]} if isinstance(fields, dict) and isinstance(fields.get("key"), str) else {})
