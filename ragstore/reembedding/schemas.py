from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ragstore.job.schemas import JobRead

Switch = Literal["auto", "manual"]
ReembedState = Literal["none", "filling", "ready", "switched", "dropping"]


class ReembedStart(msgspec.Struct, forbid_unknown_fields=True):
    """`auto` searches with the new model as soon as every passage has its vector, `manual` when it is told to. With
    `keep_old` the old vectors stay until `finish`, so that there is a way back. `queries` are questions to compare the
    two models by; without any, stored passages are.
    """

    model: str
    switch: Switch = "auto"
    keep_old: bool = True
    queries: Annotated[list[str], Meta(max_length=50)] = []


class Overlap(msgspec.Struct):
    """How many of the first ten passages of one model are among those of the other, as a share: over the `queries`
    that were asked, their mean, and the least of them.
    """

    queries: int
    mean: float
    min: float


class ReembedRead(msgspec.Struct):
    """`none`: the collection has vectors of one model. `filling`: passages get those of `model_to` too. `ready`: all
    have both, and searches still use `model_from`. `switched`: searches use `model_to`, and the way back is open.
    `dropping`: what is not wanted any more is being removed. `progress` is from 0 to 1, `eta` the seconds that are left
    at the speed so far.
    """

    state: ReembedState
    model_from: str | None = None
    model_to: str | None = None
    switch: Switch | None = None
    keep_old: bool | None = None
    done: int | None = None
    total: int | None = None
    progress: float | None = None
    eta: float | None = None
    overlap: Overlap | None = None
    job: JobRead | None = None
    started_at: datetime | None = None
    switched_at: datetime | None = None
