from datetime import datetime

import msgspec


class DatabaseReport(msgspec.Struct):
    """`hole` names a vulnerability that this release is known to have, and `mended` the first release without it.
    `too_old` says what the service needs, when this is less.
    """

    server: str
    pgvector: str | None
    embedded: bool
    too_old: str | None = None
    hole: str | None = None
    mended: str | None = None
    revision: str | None = None
    latest_revision: str | None = None


class JobCounts(msgspec.Struct):
    """`failed` in the last day."""

    queued: int
    running: int
    failed: int


class JobsReport(msgspec.Struct):
    """Jobs of the caller's tenant (`own`) and of the service itself (`system`); never of another tenant. `waiting` is
    how many seconds the longest of them has been due without a worker taking it. `worker_here`: this process runs jobs.
    """

    own: JobCounts
    system: JobCounts
    waiting: float
    worker_here: bool


class VacuumReport(msgspec.Struct):
    """Of the table of embeddings, which all tenants share: rows in it and rows written or deleted since its last
    vacuum, as Postgres estimates. `refused`: the last job could not vacuum, for its login does not own the table.
    """

    rows: int
    untidy_rows: int
    vacuumed_at: datetime | None
    refused: bool


class ServiceReport(msgspec.Struct):
    """What an operator should know. `unfolded` has, by collection, how many transactions' changes of its text
    statistics wait to be folded; a collection that is not in it has none.
    """

    version: str
    database: DatabaseReport
    jobs: JobsReport
    vacuum: VacuumReport
    search_candidates: int
    unfolded: dict[str, int]
