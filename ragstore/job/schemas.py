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
    """`counts` holds what the job has reported: `done`, `total`, `failures`. `error` is of the last failed attempt."""

    id: UUID
    kind: str
    state: State
    priority: int
    counts: dict[str, int]
    message: str | None
    result: dict[str, Any] | None
    error: JobError | None
    attempts: int
    max_attempts: int
    run_at: datetime
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @property
    def ended(self) -> bool:
        return self.state in ENDED
