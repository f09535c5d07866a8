"""Where the time of one search went."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ragstore.search.schemas import Timings


@dataclass
class Clock:
    began: float = field(default_factory=time.perf_counter)
    timings: Timings = field(default_factory=Timings)

    @contextmanager
    def time(self, part: str) -> Iterator[None]:
        """Adds what the block takes to the part, a field of Timings."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(part, time.perf_counter() - began)

    def add(self, part: str, seconds: float) -> None:
        setattr(self.timings, part, getattr(self.timings, part) + 1000 * seconds)

    def read(self) -> Timings:
        self.timings.total = 1000 * (time.perf_counter() - self.began)
        return self.timings
