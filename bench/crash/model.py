"""What each document may be by now, as far as the answers of the service allow to know."""

import json
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

Stamp = int | None  # of the content that is stored; None: no such document


@dataclass
class Slot:
    """A key that one writer alone writes. `possible` holds one stamp unless an answer got lost."""

    key: str
    possible: set[Stamp] = field(default_factory=lambda: {None})
    version: int | None = 0  # the service's number; None: not known
    busy: bool = False
    last: "Operation | None" = None  # that wrote it

    def settle(self, stamp: Stamp, version: int | None) -> None:
        self.possible, self.version = {stamp}, version


@dataclass
class Shared:
    """A key that all writers write: the answers say which version holds whose stamp."""

    key: str
    sent: set[int] = field(default_factory=set)
    acknowledged: dict[int, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Operation:
    """`targets`: the stamp of each key afterwards."""

    kind: str
    targets: dict[str, Stamp]
    retry_key: str | None = None
    job: str | None = None
    due: float = 0.0
    tries: int = 0


@dataclass(frozen=True)
class Acknowledgement:
    sent: float
    received: float


class Tally:
    """Counts and violations of all threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: dict[str, int] = {}
        self.violations: list[str] = []
        self.last = Acknowledgement(0.0, 0.0)

    def count(self, name: str, more: int = 1) -> None:
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + more

    def accuse(self, violation: str) -> None:
        with self.lock:
            self.violations.append(violation)

    def acknowledge(self, sent: float, writes: int) -> None:
        self.count("acknowledged writes", writes)
        with self.lock:
            if sent > self.last.sent:
                self.last = Acknowledgement(sent, time.monotonic())


class Journal:
    """What was acknowledged, on disk before anything else is done: it can be read after the harness too."""

    def __init__(self, file: Path) -> None:
        self.file = file.open("a", encoding="utf-8")

    def note(self, kind: str, targets: dict[str, Stamp]) -> None:
        self.file.write(json.dumps([round(time.time(), 4), kind, targets]) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.file.close()


def is_half_done(operation: Operation, found: dict[str, Stamp], untouched: Iterable[str]) -> bool:
    """Whether some documents of a request that got no answer are stored and others not."""
    done = {found.get(key) == operation.targets[key] for key in untouched}
    return len(done) > 1
