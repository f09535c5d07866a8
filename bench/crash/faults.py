"""What is done to the processes, and how long it takes until a write succeeds again."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.crash.cluster import Cluster, kill_backend
from bench.crash.model import Tally
from bench.crash.processes import Supervised, wait_until
from bench.crash.questions import Questions
from ragstore.failpoints import Failpoint

RESUME_SECONDS = 60.0
FIRE_SECONDS = 4.0
LEASE = 2.0
IN_JOBS = [one for one in Failpoint if one.startswith("job_")]
IN_REQUESTS = [one for one in Failpoint if one not in IN_JOBS]
EITHER = [Failpoint.BEFORE_COMMIT, Failpoint.AFTER_COMMIT]
WEIGHTS = {
    "service": 2,
    "worker": 3,
    "backend": 3,
    "postmaster": 3,
    "everything": 1,
    "stopped worker": 1,
    "failpoint in service": 5,
    "failpoint in worker": 4,
}
ACTIONS = {"kill": 8, "raise": 2, "sleep:0.3": 1}


@dataclass
class Armed:
    """The file that a process looks its failpoints up in."""

    file: Path

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def read_log(self) -> list[str]:
        log = self.file.with_name(f"{self.file.name}.log")
        return log.read_text().splitlines() if log.exists() else []

    def count_fired(self) -> int:
        return sum(line.startswith("fired") for line in self.read_log())


@dataclass
class Surgeon:
    cluster: Cluster
    service: Supervised
    worker: Supervised
    service_failpoints: Armed
    worker_failpoints: Armed
    tally: Tally
    questions: Questions
    chance: random.Random

    def strike(self) -> tuple[str, float | None]:
        """One fault, chosen at random; what it was, and the seconds until a write (or a job) succeeded again."""
        kind = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind == "failpoint in service":
            return self.arm(kind, self.service_failpoints, IN_REQUESTS, self.await_write)
        if kind == "failpoint in worker":
            return self.arm(kind, self.worker_failpoints, IN_JOBS + EITHER, self.await_job)
        began = time.monotonic()
        if kind == "stopped worker":
            return kind, self.stop_worker()
        if kind == "worker":
            ended = self.questions.count_ended_jobs()
            self.worker.kill()
            return kind, self.await_job(time.monotonic(), ended)
        self.strike_now(kind)
        return kind, self.await_write(began, 0)

    def strike_now(self, kind: str) -> None:
        if kind in ("service", "everything"):
            # granian's child alone, which granian starts again, or all of it
            self.service.kill_children() if kind == "service" and self.chance.random() < 0.5 else self.service.kill()
        if kind == "everything":
            self.worker.kill()
        if kind in ("postmaster", "everything"):
            self.cluster.kill()
            self.cluster.start()
        if kind == "backend" and (backends := self.questions.list_backends()):
            kill_backend(self.chance.choice(backends))

    def stop_worker(self) -> float | None:
        """Past its lease: what it holds is somebody else's, here its own, when it goes on."""
        ended = self.questions.count_ended_jobs()
        self.worker.signal(signal.SIGSTOP)
        time.sleep(1.5 * LEASE)
        began = time.monotonic()
        self.worker.signal(signal.SIGCONT)
        return self.await_job(began, ended)

    def arm(
        self, kind: str, armed: Armed, names: list[Failpoint], resume: Callable[[float, int], float | None]
    ) -> tuple[str, float | None]:
        name = self.chance.choice(names)
        action = self.chance.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        before = armed.count_fired()
        armed.write(f"{name}={action}@{self.chance.randint(1, 8)}")
        deadline = time.monotonic() + FIRE_SECONDS
        while armed.count_fired() == before and time.monotonic() < deadline:
            time.sleep(0.005)
        began, ended = time.monotonic(), self.questions.count_ended_jobs()
        armed.write("")  # before the next process reads it
        if armed.count_fired() == before:
            self.tally.count("failpoints not reached in time")
            return f"{kind}, not reached", None
        self.tally.count("failpoints fired")
        return f"{kind}: {action.split(':')[0]}", resume(began, ended)

    def await_write(self, began: float, _: int) -> float | None:
        deadline = began + RESUME_SECONDS
        while self.tally.last.sent < began:
            if self.tally.violations:
                return None
            wait_until(deadline, "no write succeeds any more")
        return self.tally.last.received - began

    def await_job(self, began: float, ended: int) -> float | None:
        deadline = began + RESUME_SECONDS
        while self.questions.count_ended_jobs() <= ended:
            if self.tally.violations:
                return None
            wait_until(deadline, "no job ends any more")
        return time.monotonic() - began
