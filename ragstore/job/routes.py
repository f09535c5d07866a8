from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from ragstore.database import TenantDatabase
from ragstore.idempotency.service import Recorder
from ragstore.job.events import JobWatch
from ragstore.job.schemas import JobRead, State
from ragstore.job.service import JobService
from ragstore.paging import DEFAULT_LIMIT, LARGEST_LIMIT, Page
from ragstore.tenant.guard import READ, WRITE


@get("/", opt=READ)
async def list_jobs(
    tenant_database: NamedDependency[TenantDatabase],
    in_state: Annotated[State | None, QueryParameter(name="state")] = None,  # `state` is litestar's own word
    kind: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=LARGEST_LIMIT)] = DEFAULT_LIMIT,
) -> Page[JobRead]:
    """Newest first."""
    async with tenant_database.transaction() as session:
        return await JobService(session, tenant_database.tenant_id).list(
            state=in_state, kind=kind, cursor=cursor, limit=limit
        )


@get("/{job_id:uuid}", opt=READ)
async def read_job(job_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase]) -> JobRead:
    async with tenant_database.transaction() as session:
        return await JobService(session, tenant_database.tenant_id).read(job_id)


@post("/{job_id:uuid}/cancel", opt=WRITE, status_code=200)
async def cancel_job(
    job_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase], recorder: NamedDependency[Recorder]
) -> JobRead:
    """A queued job never begins; a running one loses what it has not committed. 409 when it has ended."""
    async with tenant_database.transaction() as session:
        done = await JobService(session, tenant_database.tenant_id).cancel(job_id)
        return await recorder.answer(session, done)


@post("/{job_id:uuid}/retry", opt=WRITE, status_code=200)
async def retry_job(
    job_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase], recorder: NamedDependency[Recorder]
) -> JobRead:
    """Puts a failed or cancelled job back into the queue, with all its attempts."""
    async with tenant_database.transaction() as session:
        done = await JobService(session, tenant_database.tenant_id).retry(job_id)
        return await recorder.answer(session, done)


@get("/{job_id:uuid}/events", opt=READ)
async def watch_job(job_id: FromPath[UUID], job_watch: NamedDependency[JobWatch]) -> ServerSentEvent:
    """Server-sent events: `job` with the job now and after each change, until it has ended. `shutdown` when the
    service stops first: connect again.
    """
    return ServerSentEvent(to_events(job_watch, await job_watch.read(job_id)))


async def to_events(watch: JobWatch, job: JobRead) -> AsyncIterator[ServerSentEventMessage]:
    ended = job.ended
    async for one in watch.follow(job):
        if one is None:
            yield ServerSentEventMessage(data=None, comment="still there")
        else:
            ended = one.ended
            yield ServerSentEventMessage(event="job", data=msgspec.json.encode(one))
    if not ended and watch.stopping.is_set():
        yield ServerSentEventMessage(event="shutdown", data="{}")


router = Router("/jobs", route_handlers=[list_jobs, read_job, cancel_job, retry_job, watch_job], tags=["jobs"])
