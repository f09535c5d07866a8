import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Boolean, Interval, Row, Uuid, bindparam, func, literal, null, text, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Text
from sqlmodel import col, select

from ragstore.database import AsyncSession, RawConnection
from ragstore.job.tables import Job

CHANNEL = "ragstore_job"
JSON_OR_NULL = JSONB(none_as_null=True)
ENQUEUE = text(
    "SELECT ragstore_enqueue_job(:tenant_id, :id, :kind, :payload, :priority, :delay, :dedupe_key, :max_attempts)"
).bindparams(bindparam("payload", type_=JSONB), bindparam("delay", type_=Interval))
ENQUEUE_SYSTEM = text(
    "SELECT ragstore_enqueue_system_job(:id, :kind, :payload, :priority, :delay, :dedupe_key, :max_attempts)"
).bindparams(bindparam("payload", type_=JSONB), bindparam("delay", type_=Interval))
CLAIM = text("SELECT * FROM ragstore_claim_jobs(:kinds, :worker, :lease, :most)").bindparams(
    bindparam("kinds", type_=ARRAY(Text)), bindparam("lease", type_=Interval)
).columns(payload=JSONB)  # fmt: skip
NEXT = text("SELECT ragstore_next_job(:kinds)").bindparams(bindparam("kinds", type_=ARRAY(Text)))
RENEW = text("SELECT id, fence FROM ragstore_renew_jobs(:worker, :ids, :lease)").bindparams(
    bindparam("ids", type_=ARRAY(Uuid)), bindparam("lease", type_=Interval)
)
RELEASE = text("SELECT ragstore_release_jobs(:worker)")
MINE = "tenant_id = :tenant_id AND id = :id AND fence = :fence AND state = 'running'"
HOLD = text(f"SELECT 1 FROM job WHERE {MINE} FOR UPDATE")  # noqa: S608  # a constant
END = text(f"""
    UPDATE job SET state = :state, result = coalesce(:result, result), error = :error,
        worker = NULL, lease_until = NULL, updated_at = clock_timestamp(), finished_at = clock_timestamp()
    WHERE {MINE} RETURNING 1
""").bindparams(  # noqa: S608  # as above
    bindparam("result", type_=JSON_OR_NULL), bindparam("error", type_=JSON_OR_NULL)
)
STALLED = text(f"""
    SELECT coalesce(extract(epoch FROM clock_timestamp() - stalled_at)::double precision, 0) FROM job WHERE {MINE}
""")  # noqa: S608  # as above
CANCEL_FILLING = text("""
    WITH theirs AS MATERIALIZED (
        SELECT j.id, j.fence, j.payload ->> 'file_id' AS file_id FROM job j
        WHERE j.tenant_id = :tenant_id AND j.payload ? 'collection_id'
          AND j.payload ->> 'collection_id' = :collection_id
          AND j.state IN ('queued', 'running') AND j.kind = ANY(:kinds)
        ORDER BY j.id FOR UPDATE
    ), ended AS (
        UPDATE job j SET state = 'cancelled', error = :error, fence = j.fence + 1, worker = NULL, lease_until = NULL,
            updated_at = clock_timestamp(), finished_at = clock_timestamp()
        FROM theirs t WHERE j.tenant_id = :tenant_id AND j.id = t.id
        RETURNING pg_notify(:channel, format('cancel %s %s', t.id, t.fence))
    )
    SELECT t.id, t.file_id, (SELECT count(*) FROM ended) AS ended FROM theirs t
""").bindparams(bindparam("kinds", type_=ARRAY(Text)), bindparam("error", type_=JSONB))
NOTIFY = text("SELECT pg_notify(:channel, :notice)")
# A job that has a successor waiting under its dedupe key needs no second try: that one does the same.
REQUEUE = text("""
    UPDATE job j SET
        state = CASE WHEN twin.found THEN 'cancelled' ELSE 'queued' END,
        finished_at = CASE WHEN twin.found THEN clock_timestamp() END,
        stalled_at = CASE WHEN :stalls THEN coalesce(j.stalled_at, clock_timestamp()) ELSE j.stalled_at END,
        attempts = j.attempts - :given_back, error = coalesce(:error, j.error),
        run_at = clock_timestamp() + :delay, fence = j.fence + 1, worker = NULL, lease_until = NULL,
        updated_at = clock_timestamp()
    FROM (SELECT EXISTS (
        SELECT FROM job k JOIN job q ON q.tenant_id = k.tenant_id AND q.kind = k.kind
        AND q.dedupe_key = k.dedupe_key AND q.state = 'queued' WHERE k.tenant_id = :tenant_id AND k.id = :id
    ) AS found) twin
    WHERE j.tenant_id = :tenant_id AND j.id = :id AND j.fence = :fence AND j.state = 'running'
    RETURNING pg_notify(:channel, '')
""").bindparams(
    bindparam("error", type_=JSON_OR_NULL), bindparam("delay", type_=Interval), bindparam("stalls", type_=Boolean)
)


async def scalar(session: AsyncSession, statement: Any, given: dict[str, Any]) -> Any:
    return (await (await session.connection()).execute(statement, given)).scalar_one_or_none()


async def enqueue(session: AsyncSession, tenant_id: uuid.UUID | None, **values: Any) -> uuid.UUID:
    """The new job, or the one that waits under the same dedupe key. Without a tenant it is a job of the system."""
    if tenant_id is None:
        found: uuid.UUID = await scalar(session, ENQUEUE_SYSTEM, values)
    else:
        found = await scalar(session, ENQUEUE, {"tenant_id": tenant_id, **values})
    return found


async def claim(
    session: AsyncSession, kinds: Sequence[str], worker: str, lease: float, most: int
) -> Sequence[Row[Any]]:
    """Of all tenants, the most urgent first; what no living worker holds any more is claimed again."""
    given = {"kinds": kinds, "worker": worker, "lease": timedelta(seconds=lease), "most": most}
    return (await (await session.connection()).execute(CLAIM, given)).all()


async def seconds_until_next(session: AsyncSession, kinds: Sequence[str]) -> float | None:
    """Until a job is due or a lease runs out; None when nothing waits or runs."""
    seconds: float | None = await scalar(session, NEXT, {"kinds": kinds})
    return seconds


async def renew(session: AsyncSession, worker: str, job_ids: Sequence[uuid.UUID], lease: float) -> dict[uuid.UUID, int]:
    """The jobs that are this worker's by the database, each with its fence; of them `job_ids` are renewed."""
    given = {"worker": worker, "ids": job_ids, "lease": timedelta(seconds=lease)}
    rows = (await (await session.connection()).execute(RENEW, given)).all()
    return {row.id: row.fence for row in rows}


async def release(session: AsyncSession, worker: str) -> int:
    """Give all its jobs back at once, each with the attempt."""
    released: int = await scalar(session, RELEASE, {"worker": worker})
    return released


async def hold(session: AsyncSession, tenant_id: uuid.UUID, job_id: uuid.UUID, fence: int) -> bool:
    """Lock the running job until commit; False when this fence is not its latest."""
    given = {"tenant_id": tenant_id, "id": job_id, "fence": fence}
    return await scalar(session, HOLD, given) is not None


async def change_running(
    session: AsyncSession, tenant_id: uuid.UUID, job_id: uuid.UUID, fence: int, **changes: Any
) -> bool:
    """False when this fence is not the latest of a running job."""
    statement = (
        update(Job)
        .where(
            col(Job.tenant_id) == tenant_id,
            col(Job.id) == job_id,
            col(Job.fence) == fence,
            col(Job.state) == "running",
        )
        .values(**changes)
    )
    return (await session.exec(statement)).rowcount == 1


async def extend(session: AsyncSession, tenant_id: uuid.UUID, job_id: uuid.UUID, fence: int, lease: float) -> None:
    until = func.clock_timestamp() + timedelta(seconds=lease)
    await change_running(session, tenant_id, job_id, fence, lease_until=until)


async def report(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    job_id: uuid.UUID,
    fence: int,
    counts: dict[str, int],
    message: str | None,
    result: dict[str, Any] | None,
) -> bool:
    """A message or result of None leaves the one that is there. Something done means that nothing stalls it."""
    merged = col(Job.counts).concat(literal(counts, JSONB))
    now = func.clock_timestamp()
    changes: dict[str, Any] = {} if message is None else {"message": message}
    changes |= {} if result is None else {"result": result}
    changes |= {"stalled_at": None} if "done" in counts else {}
    return await change_running(session, tenant_id, job_id, fence, counts=merged, updated_at=now, **changes)


async def end(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    job_id: uuid.UUID,
    fence: int,
    state: str,
    *,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> bool:
    given = {"tenant_id": tenant_id, "id": job_id, "fence": fence, "state": state, "result": result, "error": error}
    return await scalar(session, END, given) is not None


async def requeue(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    job_id: uuid.UUID,
    fence: int,
    *,
    delay: float,
    error: dict[str, Any] | None,
    counts_attempt: bool,
    stalls: bool = False,
) -> bool:
    given = {"tenant_id": tenant_id, "id": job_id, "fence": fence, "channel": CHANNEL, "error": error}
    given |= {"delay": timedelta(seconds=delay), "given_back": 0 if counts_attempt else 1, "stalls": stalls}
    return len((await (await session.connection()).execute(REQUEUE, given)).all()) == 1


async def read_stalled(session: AsyncSession, tenant_id: uuid.UUID, job_id: uuid.UUID, fence: int) -> float:
    """Seconds since which it has been waiting for others without getting on."""
    given = {"tenant_id": tenant_id, "id": job_id, "fence": fence}
    return float(await scalar(session, STALLED, given) or 0)


async def find(session: AsyncSession, tenant_id: uuid.UUID, job_id: uuid.UUID, *, lock: bool = False) -> Job | None:
    statement = select(Job).where(col(Job.tenant_id) == tenant_id, col(Job.id) == job_id)
    return (await session.exec(statement.with_for_update() if lock else statement)).one_or_none()


async def list_jobs(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    *,
    state: str | None,
    kind: str | None,
    before: uuid.UUID | None,
    limit: int,
) -> Sequence[Job]:
    """Newest first: ids grow with time."""
    statement = select(Job).where(col(Job.tenant_id) == tenant_id).order_by(col(Job.id).desc()).limit(limit)
    if state is not None:
        statement = statement.where(col(Job.state) == state)
    if kind is not None:
        statement = statement.where(col(Job.kind) == kind)
    if before is not None:
        statement = statement.where(col(Job.id) < before)
    return (await session.exec(statement)).all()


async def change(session: AsyncSession, tenant_id: uuid.UUID, job_id: uuid.UUID, notice: str, **changes: Any) -> None:
    """Take the job out of its worker's hands, and tell the workers at commit."""
    over = {"fence": col(Job.fence) + 1, "worker": None, "lease_until": None, "updated_at": func.clock_timestamp()}
    await session.exec(
        update(Job).where(col(Job.tenant_id) == tenant_id, col(Job.id) == job_id).values(**over, **changes)
    )
    await scalar(session, NOTIFY, {"channel": CHANNEL, "notice": notice})


async def cancel(session: AsyncSession, tenant_id: uuid.UUID, job_id: uuid.UUID, fence: int) -> None:
    """`fence` is the job's present one: the notice is for the worker that holds it."""
    ended = {"state": "cancelled", "finished_at": func.clock_timestamp()}
    await change(session, tenant_id, job_id, f"cancel {job_id} {fence}", **ended)


async def cancel_filling(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, kinds: Sequence[str], error: dict[str, Any]
) -> Sequence[Row[Any]]:
    """Every unfinished job of these kinds that works on the collection; answers the `id` and `file_id` of each."""
    given = {"tenant_id": tenant_id, "collection_id": str(collection_id), "kinds": list(kinds)}
    given |= {"error": error, "channel": CHANNEL}
    return (await (await session.connection()).execute(CANCEL_FILLING, given)).all()


async def retry(session: AsyncSession, tenant_id: uuid.UUID, job_id: uuid.UUID) -> None:
    anew = {"state": "queued", "attempts": 0, "run_at": func.clock_timestamp(), "error": null(), "finished_at": None}
    anew |= {"stalled_at": None}
    await change(session, tenant_id, job_id, "", **anew)


async def ping(connection: RawConnection) -> None:
    await connection.execute("SELECT 1", timeout=5)
