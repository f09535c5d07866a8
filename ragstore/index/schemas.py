from typing import Literal
from uuid import UUID

import msgspec

Mode = Literal["auto", "on", "off"]
IndexState = Literal["none", "waiting", "building", "ready", "invalid"]


class IndexUpdate(msgspec.Struct, forbid_unknown_fields=True):
    """`auto` builds from the threshold on, `on` whatever the size, `off` drops: a large import is faster without."""

    mode: Mode


class BuildProgress(msgspec.Struct):
    """`phase` in Postgres' words; `done` of `total` passages are in the index."""

    phase: str
    done: int
    total: int


class IndexRead(msgspec.Struct):
    """Search answers from the index when it is `ready`, and until then from a scan of all codes of the collection.

    `invalid` is what a build left that was broken off: it is removed, then built anew. `name` and `bytes` are of the
    index in Postgres, null while there is none. `job_id` is of the job that waits or works for it.
    """

    mode: Mode
    state: IndexState
    threshold: int
    chunks: int
    name: str | None
    bytes: int | None
    progress: BuildProgress | None
    job_id: UUID | None
