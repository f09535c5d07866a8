"""One claimed job, from its handler's start to a row that says how it ended."""

import asyncio
import random
import time

import structlog

from ragstore.errors import Conflict, RagstoreError, Unavailable
from ragstore.failpoints import Failpoint, failpoint
from ragstore.job import queries
from ragstore.job.context import Handler, JobContext
from ragstore.job.outcomes import (
    LeaseLost,
    RetryLater,
    RetryPolicy,
    choose_delay,
    choose_pause,
    describe_error,
    is_outage,
    is_permanent,
)

log = structlog.get_logger(__name__)


async def execute(handler: Handler, context: JobContext, policy: RetryPolicy) -> None:
    """Raises nothing: what cannot be written down now is found again when the lease has run out."""
    job = context.job
    try:
        result = await handler(context)
        failpoint(Failpoint.JOB_HANDLED)
        if not context.settled:
            async with context.database.alone() as session:
                await context.finish(session, result)
        failpoint(Failpoint.JOB_COMMITTED)
    except LeaseLost:
        log.warning("job taken away", job=str(job.id), kind=job.kind)
    except Exception as error:
        try:
            await settle_patiently(context, error, policy)
        except LeaseLost:
            log.warning("job taken away", job=str(job.id), kind=job.kind)
        except RagstoreError as trouble:
            log.error("job not settled", job=str(job.id), kind=job.kind, error=type(trouble).__name__)


async def settle_patiently(context: JobContext, error: Exception, policy: RetryPolicy) -> None:
    """A database that is away is asked until the lease must have run out: who claims the job then counts an attempt."""
    began = time.monotonic()
    while True:
        try:
            await settle(context, error, policy)
            return
        except Unavailable:
            if time.monotonic() - began > context.database.lease:
                raise
            await asyncio.sleep(random.uniform(0.2, 1))  # noqa: S311  # spreads load, guards nothing


async def settle(context: JobContext, error: Exception, policy: RetryPolicy) -> None:
    job = context.job
    if isinstance(error, RetryLater):
        await requeue(context, error.seconds)
        return
    wanted = getattr(error, "retry_after", None)
    outage = is_outage(error)
    if outage:
        stalled = await read_stalled(context)
        if stalled < policy.patience:
            log.warning("job waits", job=str(job.id), kind=job.kind, stalled=round(stalled), error=type(error).__name__)
            await requeue(context, choose_pause(wanted, stalled), error, stalls=True)
            return
    last = outage or is_permanent(error) or job.attempt >= job.max_attempts
    if is_permanent(error):  # what was asked for cannot be done, and the job says why
        log.info("job refused", job=str(job.id), kind=job.kind, error=type(error).__name__)
    else:
        level = log.error if last else log.warning
        level("job failed", job=str(job.id), kind=job.kind, attempt=job.attempt, final=last, exc_info=error)
    if not last:
        delay = max(choose_delay(job.attempt, policy.first_delay), wanted or 0.0)
        await requeue(context, delay, error, counts_attempt=True)
        return
    async with context.database.alone() as session:
        await queries.end(session, *job.key, "failed", error=describe_error(error))


async def read_stalled(context: JobContext) -> float:
    async with context.database.alone() as session:
        return await queries.read_stalled(session, *context.job.key)


async def requeue(
    context: JobContext,
    delay: float,
    error: Exception | None = None,
    *,
    counts_attempt: bool = False,
    stalls: bool = False,
) -> None:
    described = None if error is None else describe_error(error)

    async def write() -> None:
        async with context.database.alone() as session:
            await queries.requeue(
                session,
                *context.job.key,
                delay=delay,
                error=described,
                counts_attempt=counts_attempt,
                stalls=stalls,
            )

    try:
        await write()
    except Conflict:  # a duplicate came into the queue at this moment: now it is seen
        await write()
