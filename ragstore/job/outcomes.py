"""How a job can end other than well, and when it is tried again."""

import random
from typing import Any

from ragstore.errors import InternalError, RagstoreError, TooManyRequests

LONGEST_DELAY = 600.0


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


def is_permanent(error: Exception) -> bool:
    """What the job asks for is wrong, and stays so however often it is tried."""
    return isinstance(error, RagstoreError) and 400 <= error.status < 500 and error.retry_after is None


def read_pause(error: Exception) -> float | None:
    """Seconds after which an attempt that does not count is repeated; None for a failure that counts."""
    if isinstance(error, RetryLater):
        return error.seconds
    return (error.retry_after or 1.0) if isinstance(error, TooManyRequests) else None


def describe_error(error: Exception) -> dict[str, Any]:
    """For the tenant: words that were meant for clients, or only the name of what nobody expected."""
    if isinstance(error, RagstoreError):
        return {"type": error.type(), "detail": error.detail}
    return {"type": InternalError.type(), "detail": f"The job failed: {type(error).__name__}."}
