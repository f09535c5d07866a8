"""How a job can end other than well, and when it is tried again."""

import random
from dataclasses import dataclass
from typing import Any

from ragstore.errors import (
    DatabaseUnavailable,
    InternalError,
    PoolExhausted,
    ProviderRefused,
    ProviderUnavailable,
    RagstoreError,
    TooManyRequests,
)

LONGEST_DELAY = 600.0
SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
# Through no fault of the job: it would have gone well at another time.
OUTAGES = (TooManyRequests, ProviderUnavailable, DatabaseUnavailable, PoolExhausted)


@dataclass(frozen=True)
class RetryPolicy:
    first_delay: float = 2.0
    patience: float = 24 * 3600.0  # seconds a job waits for a provider or the database without getting on


class LeaseLost(Exception):
    """The job is somebody else's by now, or cancelled: nothing that was done since the last commit counts."""


class RetryLater(Exception):
    """Raised by a handler that could not begin through no fault of the job: the attempt does not count."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:.1f} s")
        self.seconds = seconds


def choose_delay(attempt: int, first: float) -> float:
    """Seconds until the next attempt: twice as long each time, and never the same for jobs that failed together."""
    longest: float = min(first * 2.0 ** min(attempt - 1, 30), LONGEST_DELAY)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing


def choose_pause(asked: float | None, stalled: float) -> float:
    """Seconds until the provider or the database is tried again, of which the job has waited `stalled` already: never
    earlier than they `asked` for, and not at once for all that wait.
    """
    wanted = min(SHORTEST_PAUSE if asked is None else asked, LONGEST_PAUSE)
    grown = min(stalled / 4, LONGEST_PAUSE)
    return max(wanted, grown) * random.uniform(1.0, 1.25)  # noqa: S311  # as above


def is_outage(error: Exception) -> bool:
    return isinstance(error, OUTAGES)


def is_permanent(error: Exception) -> bool:
    """What the job asks for is wrong, or somebody must change a setting: however often it is tried, it stays so."""
    if isinstance(error, ProviderRefused):
        return True
    return isinstance(error, RagstoreError) and 400 <= error.status < 500 and error.retry_after is None


def describe_error(error: Exception) -> dict[str, Any]:
    """For the tenant: words that were meant for clients, or only the name of what nobody expected."""
    if isinstance(error, RagstoreError):
        return {"type": error.type(), "detail": error.detail}
    return {"type": InternalError.type(), "detail": f"The job failed: {type(error).__name__}."}
