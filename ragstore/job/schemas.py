from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED = ("succeeded", "failed", "cancelled")


class JobError(msgspec.Struct):
    """Why the last attempt failed; `type` as in `docs/errors.md`, or `urn:ragstore:error:worker-lost`."""

    type: str
    detail: str


class JobRead(msgspec.Struct):
    """`about` names what the job works on, by ids and keys. `counts` holds what the job has reported: `done`, `total`,
    `failures`; of documents where it stores some, with `chunks`. `progress` is done/total, `eta_seconds` how long the
    rest takes at the pace of this attempt; both null when unknown. `result` is what there is of it so far, also when
    the job fails or is cancelled. `error` is of the last failed attempt, or says what the job waits for. `started_at`
    is when the last attempt began.
    """

    id: UUID
    kind: str
    state: State
    priority: int
    counts: dict[str, int]
    progress: float | None
    eta_seconds: float | None
    message: str | None
    result: dict[str, Any] | None
    error: JobError | None
    attempts: int
    max_attempts: int
    run_at: datetime
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    about: dict[str, str] = {}

    @property
    def ended(self) -> bool:
        return self.state in ENDED
