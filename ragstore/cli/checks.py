"""What a doctor makes of what a service tells about itself. Pure."""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from ragstore.collection.schemas import CollectionRead
from ragstore.doctor.schemas import DatabaseReport, JobsReport, ServiceReport, VacuumReport
from ragstore.recall.schemas import PlanRecall, RecallReport

Level = Literal["ok", "advice", "wrong"]
GOOD_RECALL = 0.95
LATE_SECONDS = 60.0  # a worker that is awake takes a job within a second
MANY_ROWS = 1000  # from which on the service vacuums by itself
MANY_SHARE = 0.05
MANY_CHANGES = 1000  # transactions whose counts every search by words adds up anew


class Check(msgspec.Struct):
    """`about` is a collection, or nothing. `change` says what to do about it; null when all is well."""

    check: str
    level: Level
    finding: str
    change: str | None = None
    about: str | None = None


class IndexSeen(msgspec.Struct):
    """What is read of `GET …/index`, where the service has it."""

    mode: str = "auto"
    state: str = "none"
    threshold: int = 0


def check_service(report: ServiceReport) -> Iterator[Check]:
    yield from check_database(report.database)
    yield from check_jobs(report.jobs)
    yield check_vacuum(report.vacuum)


def check_database(found: DatabaseReport) -> Iterator[Check]:
    what = f"PostgreSQL {found.server}, pgvector {found.pgvector}{', embedded' if found.embedded else ''}"
    if found.too_old is not None:
        yield Check("database", "wrong", what, found.too_old)
    elif found.hole is not None and found.embedded:
        change = f"For texts of people you do not trust use a PostgreSQL {found.mended} or later of your own."
        yield Check("database", "advice", f"{what}; has {found.hole}", change)
    elif found.hole is not None:
        yield Check("database", "wrong", f"{what}; has {found.hole}", f"Update PostgreSQL to {found.mended} or later.")
    else:
        yield Check("database", "ok", what)
    if found.revision == found.latest_revision:
        yield Check("schema", "ok", f"revision {found.revision}")
    else:
        finding = f"revision {found.revision}, the service wants {found.latest_revision}"
        yield Check("schema", "wrong", finding, "Run `ragstore migrate`, then restart the service.")


def check_jobs(found: JobsReport) -> Iterator[Check]:
    queued, running = found.own.queued + found.system.queued, found.own.running + found.system.running
    finding = f"{queued} queued, {running} running"
    if found.waiting <= LATE_SECONDS:
        yield Check("jobs", "ok", finding)
    else:
        change = (
            "The workers are busy or stuck: see `GET /v1/jobs?state=running`, raise RAGSTORE_JOB_CONCURRENCY."
            if running or found.worker_here
            else "No worker runs: start `ragstore worker`, or set RAGSTORE_RUN_JOBS=true."
        )
        yield Check("jobs", "wrong", f"{finding}, one due for {found.waiting:,.0f} s", change)
    if found.own.failed:
        change = "`GET /v1/jobs?state=failed` says why; `POST /v1/jobs/{id}/retry` tries again."
        yield Check("failed jobs", "wrong", f"{found.own.failed} in the last day", change)
    if found.system.failed:
        yield Check("failed jobs", "wrong", f"{found.system.failed} of the service itself", "See the workers' log.")


def check_vacuum(found: VacuumReport) -> Check:
    finding = f"{found.untidy_rows:,} of {found.rows:,} passages written or deleted since the last vacuum"
    if found.refused:
        change = (
            "The worker may not vacuum: set its RAGSTORE_OWNER_DATABASE_URL to the owner of the tables."
            " Without it searches read every row twice."
        )
        return Check("vacuum", "wrong" if is_untidy(found) else "advice", finding, change)
    if is_untidy(found):
        change = "A job does it soon after an import: ask again in a minute. If it stays, run VACUUM embedding."
        return Check("vacuum", "advice", finding, change)
    return Check("vacuum", "ok", finding)


def is_untidy(found: VacuumReport) -> bool:
    return found.untidy_rows >= max(MANY_ROWS, MANY_SHARE * found.rows)


def check_collection(collection: CollectionRead, index: IndexSeen | None, unfolded: int) -> Iterator[Check]:
    yield Check("passages", "ok", f"{collection.chunk_count:,} of {collection.document_count:,} documents")
    if index is not None:
        yield check_index(collection, index)
    if unfolded >= MANY_CHANGES:
        change = "A job folds them soon after an import: ask again in a minute. If they stay, no worker runs."
        finding = f"counts of words: changes of {unfolded:,} transactions wait"
        yield Check("text statistics", "advice", finding, change)


def check_index(collection: CollectionRead, found: IndexSeen) -> Check:
    if found.state == "invalid":
        return Check("index", "wrong", "broken off; searches scan all codes", "See its job: it builds the index anew.")
    if found.state in ("waiting", "building"):
        return Check("index", "advice", f"{found.state}; searches scan all codes", "Ask again when it is built.")
    if found.state == "none" and found.mode == "off" and 0 < found.threshold <= collection.chunk_count:
        return Check(
            "index",
            "advice",
            f"off, from {found.threshold:,} passages on it pays",
            'Set its mode to "auto" when the import is done.',
        )
    return Check("index", "ok", f"{found.state}, mode {found.mode}")


def check_recall(report: RecallReport) -> Check:
    live = next((one for one in report.plans if one.live), None)
    change = name_options(" ".join(report.advice)) or None
    if live is None or live.recall is None or live.low is None:
        return Check("recall", "advice" if report.chunks > 1 else "ok", "not measured", change)
    if live.recall < GOOD_RECALL or live.short_answers:
        return Check("recall", "wrong", describe_recall(live, report), change)
    level: Level = "ok" if live.low >= GOOD_RECALL or not report.advice else "advice"
    return Check("recall", level, describe_recall(live, report), change)


def name_options(advice: str) -> str:
    """The service speaks of its parameters; here they are options."""
    return re.sub(r"\bsamples=(\d+)", r"--samples \1", advice).replace("with more seconds", "with a larger --seconds")


def describe_recall(live: PlanRecall, report: RecallReport) -> str:
    exact = f"; {report.exact_p50_ms:.0f} ms exact" if report.exact_p50_ms is not None else ""
    return (
        f"recall@{report.top_k} {live.recall:.3f}, {live.confidence:.0%} sure of {live.low:.3f} to {live.high:.3f}"
        f" ({live.queries} queries); {live.p50_ms:.1f} ms by {live.plan}{exact}"
    )
