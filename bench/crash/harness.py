"""One run: writers at work, and cycles of a fault and a look at what it left."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.crash import checker
from bench.crash.calls import COLLECTION, Connection
from bench.crash.faults import Surgeon
from bench.crash.model import Shared, Tally
from bench.crash.processes import wait_until
from bench.crash.questions import Questions
from bench.crash.reader import Reader
from bench.crash.writers import Abilities, Writer
from bench.stamped import CHUNKING, make_document

KEY = "crash-harness-key"
START_SECONDS = 90.0
DRAIN_SECONDS = 60.0


@dataclass(frozen=True)
class Options:
    cycles: int = 200
    minutes: float = 0.0
    seed: int = 1
    writers: int = 6
    check_every: int = 5
    verbose: bool = True


@dataclass
class Report:
    cycles: int = 0
    seconds: float = 0.0
    resumed: dict[str, list[float]] = field(default_factory=dict)
    drained: list[float] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)
    checks: int = 0


@dataclass
class Harness:
    options: Options
    folder: Path
    surgeon: Surgeon
    questions: Questions
    connection: Connection
    tally: Tally
    shared: list[Shared] = field(default_factory=lambda: [Shared(f"shared{number}") for number in range(4)])
    writers: list[Writer] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)

    def run(self) -> Report:
        began = time.monotonic()
        report = Report()
        self.start_writers(self.prepare())
        try:
            while self.goes_on(report.cycles, began):
                self.cycle(report)
            self.check(report)
        finally:
            self.stop_writers()
        report.seconds = time.monotonic() - began
        report.counts, report.violations = self.tally.counts, self.tally.violations
        lines = self.surgeon.service_failpoints.read_log() + self.surgeon.worker_failpoints.read_log()
        report.passed = {line.split()[1] for line in lines if line.startswith("passed")}
        return report

    def goes_on(self, cycles: int, began: float) -> bool:
        if self.tally.violations:
            return False
        if self.options.minutes:
            return time.monotonic() - began < 60 * self.options.minutes
        return cycles < self.options.cycles

    def prepare(self) -> Abilities:
        deadline = time.monotonic() + START_SECONDS
        while (answer := self.connection.call("GET", "/health/ready")) is None or answer.status != 200:
            wait_until(deadline, f"the service does not start: {self.surgeon.service.log.read_text()[-2000:]}")
        made = json.dumps({"name": COLLECTION, "chunking": CHUNKING}).encode()
        self.connection.call("POST", "/v1/collections", made)
        accepted = self.connection.put([make_document("probe1", 1)], query="?wait=false")
        loaded = self.connection.load([make_document("probe2", 1)])
        stored = self.connection.put([make_document("probe3", 1)])
        if stored is None or stored.status != 200:
            raise SystemExit(f"the first document is refused: {stored}")
        jobs, imports = accepted is not None and accepted.status == 202, loaded is not None and loaded.status == 200
        return Abilities(jobs, imports)

    def start_writers(self, abilities: Abilities) -> None:
        for number in range(self.options.writers):
            name = f"w{number}"
            journal, seed = self.folder / f"{name}.acknowledged", f"{self.options.seed} {name}"
            self.writers.append(Writer(name, self.connect(), abilities, self.shared, self.tally, journal, seed))
        self.readers.append(Reader(self.connect(), [key for one in self.writers for key in one.slots], self.tally))
        for thread in self.list_threads():
            thread.start()

    def connect(self) -> Connection:
        return Connection(self.connection.port, KEY)

    def list_threads(self) -> list[threading.Thread]:
        return [one.thread for one in self.writers] + [one.thread for one in self.readers]

    def stop_writers(self) -> None:
        for stopping in [one.stopping for one in self.writers] + [one.stopping for one in self.readers]:
            stopping.set()
        for thread in self.list_threads():
            if thread.ident is not None:
                thread.join(60)
        self.connection.close()

    def cycle(self, report: Report) -> None:
        time.sleep(self.surgeon.chance.uniform(0.0, 0.4))
        kind, seconds = self.surgeon.strike()
        report.cycles += 1
        if seconds is not None:
            report.resumed.setdefault(kind, []).append(seconds)
        self.accuse(self.questions.check_structure(quiet=False))
        if report.cycles % self.options.check_every == 0:
            self.check(report)
        if self.options.verbose:
            took = "-" if seconds is None else f"{seconds:.2f} s"
            writes = self.tally.counts.get("acknowledged writes", 0)
            print(f"{report.cycles:>4}  {kind:<32} {took:>8}  {writes:>7}", flush=True)

    def check(self, report: Report) -> None:
        """With the writers at rest and the jobs done, what is there must be what was acknowledged."""
        with self.paused():
            self.questions.run(checker.END_CLAIMS)
            report.drained.append(self.drain())
            self.accuse(self.questions.check_structure(quiet=True))
            stored, wrong = self.questions.read_documents()
            self.accuse(wrong)
            for one in self.writers:
                self.accuse(checker.compare_requests(one.unanswered, one.slots, stored))
                self.accuse(checker.compare_slots(one.slots, stored))
                one.unanswered.clear()
            self.accuse(checker.compare_shared(self.shared, stored))
            report.checks += 1
        self.converge()

    @contextmanager
    def paused(self) -> Iterator[None]:
        for one in self.writers:
            one.pause.set()
        deadline = time.monotonic() + DRAIN_SECONDS
        for one in self.writers:
            while not one.idle.is_set():
                wait_until(deadline, f"{one.name} gets no answer")
        yield
        for one in self.writers:
            one.idle.clear()
            one.pause.clear()

    def drain(self) -> float:
        """Seconds until no job is due any more."""
        began = time.monotonic()
        while due := self.questions.run(checker.DUE):
            if time.monotonic() - began > DRAIN_SECONDS:
                self.accuse([f"a job that is stuck: {[tuple(one) for one in due]}"])
                break
            time.sleep(0.05)
        return time.monotonic() - began

    def converge(self) -> None:
        """What was sent again with its Idempotency-Key is answered by now; the claims of the dead are over."""
        waiting = self.list_unconverged()
        deadline = time.monotonic() + DRAIN_SECONDS
        while waiting & self.list_unconverged() and not self.tally.violations:
            wait_until(deadline, "a retry with its Idempotency-Key gets no answer")

    def list_unconverged(self) -> set[int]:
        return {id(operation) for one in self.writers for operation in list(one.pending) if operation.job is None}

    def accuse(self, wrong: list[str]) -> None:
        for one in wrong:
            self.tally.accuse(one)
