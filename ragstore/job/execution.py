"""One claimed job, from its handler's start to a row that says how it ended."""

import structlog

from ragstore.errors import Conflict, RagstoreError
from ragstore.failpoints import Failpoint, failpoint
from ragstore.job import queries
from ragstore.job.context import Handler, JobContext
from ragstore.job.outcomes import LeaseLost, choose_delay, describe_error, is_permanent, read_pause

log = structlog.get_logger(__name__)


async def execute(handler: Handler, context: JobContext, retry_delay: float) -> None:
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
            await settle(context, error, retry_delay)
        except LeaseLost:
            log.warning("job taken away", job=str(job.id), kind=job.kind)
        except RagstoreError as trouble:
            log.error("job not settled", job=str(job.id), kind=job.kind, error=type(trouble).__name__)


async def settle(context: JobContext, error: Exception, retry_delay: float) -> None:
    job = context.job
    pause = read_pause(error)
    last = pause is None and (is_permanent(error) or job.attempt >= job.max_attempts)
    if pause is None:
        level = log.error if last else log.warning
        level("job failed", job=str(job.id), kind=job.kind, attempt=job.attempt, final=last, exc_info=error)
    if last:
        async with context.database.alone() as session:
            await queries.end(session, *job.key, "failed", error=describe_error(error))
        return
    wanted = getattr(error, "retry_after", None) or 0.0
    delay = pause if pause is not None else max(choose_delay(job.attempt, retry_delay), wanted)
    try:
        await requeue(context, error, delay, counts_attempt=pause is None)
    except Conflict:  # a duplicate came into the queue at this moment: now it is seen
        await requeue(context, error, delay, counts_attempt=pause is None)


async def requeue(context: JobContext, error: Exception, delay: float, *, counts_attempt: bool) -> None:
    described = describe_error(error) if counts_attempt else None
    async with context.database.alone() as session:
        await queries.requeue(session, *context.job.key, delay=delay, error=described, counts_attempt=counts_attempt)
