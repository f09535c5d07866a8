"""What is asked of the database from outside, with patience: it may be recovering."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import asyncpg

from bench.crash import checker
from bench.crash.checker import Stored
from bench.crash.cluster import Cluster
from bench.crash.processes import wait_until

PATIENCE = 90.0
BACKENDS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'ragstore%' AND backend_type = 'client backend'"
)
ENDED = "SELECT count(*) FROM job WHERE state = 'succeeded'"
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Questions:
    cluster: Cluster

    def check_structure(self, *, quiet: bool) -> list[str]:
        return self.patiently(lambda: asyncio.run(checker.check_structure(self.cluster.url, quiet=quiet)))

    def read_documents(self) -> tuple[dict[str, Stored], list[str]]:
        return self.patiently(lambda: asyncio.run(checker.read_documents(self.cluster.url)))

    def run(self, statement: str) -> list[asyncpg.Record]:
        return self.patiently(lambda: asyncio.run(checker.run_statement(self.cluster.url, statement)))

    def list_backends(self) -> list[int]:
        return [row["pid"] for row in self.run(BACKENDS)]

    def count_ended_jobs(self) -> int:
        return int(self.run(ENDED)[0][0])

    def patiently(self, ask: Callable[[], Answer]) -> Answer:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return ask()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                wait_until(deadline, f"Postgres does not come back: {self.cluster.log_tail()}")
