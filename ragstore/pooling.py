"""A pool whose surplus connections stay while they are needed again and again."""

import time
from typing import Any

from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util.queue import Empty

IDLE_SECONDS = 30.0  # after which a surplus connection is closed
RETURNED_AT = "returned_at"


class LastingPool(AsyncAdaptedQueuePool):
    """SQLAlchemy's own closes what is beyond `pool_size` the moment it comes back: eight clients of a pool of five then
    open and close three connections all the time, and Postgres starts a process for each. Here they wait; `trim` closes
    those that nobody took for a while.
    """

    def __init__(self, creator: Any, *, pool_size: int = 5, max_overflow: int = 10, **options: Any) -> None:
        super().__init__(creator, pool_size=pool_size + max_overflow, max_overflow=0, **options)
        self.steady = pool_size

    def recreate(self) -> "LastingPool":
        again = super().recreate()
        assert isinstance(again, LastingPool)  # noqa: S101  # of the same class
        again.steady = self.steady
        return again

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        record.info[RETURNED_AT] = time.monotonic()
        super()._do_return_conn(record)

    def trim(self, now: float | None = None) -> int:
        """How many were closed. In a greenlet of SQLAlchemy's: to close one it speaks to Postgres."""
        before = (time.monotonic() if now is None else now) - IDLE_SECONDS
        waiting = self._take_all()  # last used first
        surplus = self.checkedout() - self.steady  # those that wait are counted too
        stale = [one for one in waiting if one.info.get(RETURNED_AT, before) <= before][::-1][: max(surplus, 0)]
        for record in reversed(waiting):
            if record not in stale:
                self._pool.put(record, False)
        for record in stale:
            record.close()
            self._dec_overflow()
        return len(stale)

    def _take_all(self) -> list[ConnectionPoolEntry]:
        waiting: list[ConnectionPoolEntry] = []
        while True:
            try:
                waiting.append(self._pool.get(False))
            except Empty:
                return waiting
