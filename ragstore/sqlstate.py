"""Postgres' SQLSTATEs to what a client is told. Classes of exceptions differ by driver; the five letters do not."""

import asyncpg

from ragstore.errors import (
    Conflict,
    DatabaseUnavailable,
    InternalError,
    NotFound,
    RagstoreError,
    StorageFull,
    TimedOut,
    Unavailable,
    Unprocessable,
)

RETRY_SOON = 1.0

BY_STATE: dict[str, type[RagstoreError]] = {
    "0A000": Unavailable,  # a cached plan met a schema change: the next try plans anew
    "21000": Unprocessable,
    "22000": Unprocessable,
    "22003": Unprocessable,
    "22007": Unprocessable,
    "22008": Unprocessable,
    "22021": Unprocessable,
    "22P02": Unprocessable,
    "22P05": Unprocessable,
    "2201B": Unprocessable,
    "23502": Unprocessable,
    "23503": NotFound,
    "23505": Conflict,
    "23514": Unprocessable,
    "25006": DatabaseUnavailable,
    "28000": DatabaseUnavailable,  # these four: when a connection is made
    "28P01": DatabaseUnavailable,
    "3D000": DatabaseUnavailable,
    "55000": DatabaseUnavailable,
    "25P03": Unavailable,
    "25P04": Unavailable,
    "40001": Unavailable,
    "40P01": Unavailable,
    "53100": StorageFull,
    "53200": Unavailable,
    "53300": DatabaseUnavailable,
    "54000": Unprocessable,
    "54001": Unprocessable,
    "55P03": Unavailable,
    "57014": TimedOut,
    "57P01": DatabaseUnavailable,
    "57P02": DatabaseUnavailable,
    "57P03": DatabaseUnavailable,
}

DETAILS = {
    "0A000": "The database schema is changing; try again.",
    "23503": "What this belongs to no longer exists.",
    "23505": "Something with the same key was stored at the same time.",
    "40001": "Another request changed the same rows; try again.",
    "40P01": "Another request changed the same rows; try again.",
    "55P03": "The database is locked by other work; try again.",
    "57014": "The statement took longer than RAGSTORE_STATEMENT_TIMEOUT allows.",
}


def find_sqlstate(error: BaseException) -> str | None:
    """The five letters of the driver's own exception, wherever SQLAlchemy wrapped it."""
    for one in (getattr(error, "driver_exception", None), getattr(error, "orig", None), error):
        state = getattr(one, "sqlstate", None)
        if isinstance(state, str):
            return state
    return None


def is_deadlock(error: RagstoreError) -> bool:
    """Of an error that `translate_database_error` made: whether the same again may well succeed."""
    return error.__cause__ is not None and find_sqlstate(error.__cause__) == "40P01"


def translate_database_error(error: Exception) -> RagstoreError:
    """What to tell the client: never SQL, values or names. A state nobody expected is our fault, a 500."""
    state = find_sqlstate(error)
    if state is None:
        lost = isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError) or getattr(
            error, "connection_invalidated", False
        )
        return DatabaseUnavailable(retry_after=RETRY_SOON) if lost else InternalError()
    kind = BY_STATE.get(state) or (DatabaseUnavailable if state.startswith("08") else InternalError)
    return kind(DETAILS.get(state), retry_after=RETRY_SOON if kind.status == 503 else None)
