"""Threads that write documents and keep book of what was acknowledged."""

import random
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from bench.crash.calls import Answer, Connection, read_lines
from bench.crash.model import Journal, Operation, Shared, Slot, Stamp, Tally
from bench.stamped import make_document

KEYS = 60  # of each writer
UNREACHABLE_SECONDS = 0.05
MOST_PENDING = 5
RETRY_SECONDS = 0.3
# A fault of ours in the middle of a request is answered so; 500 only where a failpoint raises.
UNSURE = {409, 429, 500, 503, 504}


@dataclass(frozen=True)
class Abilities:
    """Which routes the service has."""

    jobs: bool
    imports: bool


@dataclass
class Writer:
    """`name` is a letter and a number of its own."""

    name: str
    connection: Connection
    abilities: Abilities
    shared: Sequence[Shared]
    tally: Tally
    journal_file: Path
    seed: str
    pause: threading.Event = field(default_factory=threading.Event)
    idle: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        self.chance = random.Random(self.seed)
        self.stamps: Iterator[int] = count(1)
        self.slots = {key: Slot(key) for key in (f"{self.name}x{number}" for number in range(KEYS))}
        self.pending: list[Operation] = []
        self.unanswered: list[Operation] = []  # since the last check
        self.journal = Journal(self.journal_file)

    def run(self) -> None:
        while not self.stopping.is_set():
            if self.pause.is_set():
                self.idle.set()
                time.sleep(0.005)
                continue
            self.idle.clear()
            try:
                self.step()
            except Exception as error:
                self.tally.accuse(f"{self.name}: {error!r}")
                self.stopping.set()
        self.idle.set()
        self.connection.close()
        self.journal.close()

    def step(self) -> None:
        now = time.monotonic()
        due = [one for one in self.pending if one.due <= now]
        if due:
            self.attempt(due[0])
        elif len(self.pending) >= MOST_PENDING:
            time.sleep(UNREACHABLE_SECONDS)
        elif self.chance.random() < 0.1:
            self.write_shared()
        else:
            self.attempt(self.begin())

    def begin(self) -> Operation:
        free = [one for one in self.slots.values() if not one.busy]
        kind, many = self.choose_kind()
        chosen = self.chance.sample(free, min(many, len(free)))
        targets: dict[str, Stamp] = {one.key: None if kind == "delete" else next(self.stamps) for one in chosen}
        # A job whose answer got lost may run any time: only the key tells.
        named = kind == "accept" or (kind != "import" and self.chance.random() < 0.4)
        operation = Operation(kind, targets, uuid.uuid4().hex if named else None)
        for one in chosen:
            one.busy, one.last = True, operation
        return operation

    def choose_kind(self) -> tuple[str, int]:
        kinds = {"put": 60, "delete": 15, "accept": 15 * self.abilities.jobs, "import": 10 * self.abilities.imports}
        kind = self.chance.choices(list(kinds), list(kinds.values()))[0]
        return kind, 1 if kind == "delete" else self.chance.randint(1, 12 if kind in ("accept", "import") else 5)

    def attempt(self, operation: Operation) -> None:
        sent = time.monotonic()
        operation.tries += 1
        answer = self.send(operation)
        if answer is None:
            self.lose(operation)
            time.sleep(UNREACHABLE_SECONDS)
        elif operation.job is not None:
            self.follow(operation, answer)
        elif answer.status < 300:
            self.read_answer(operation, answer, sent)
        elif answer.status in UNSURE:
            self.tally.count(f"answered {answer.status}")
            self.lose(operation)
            time.sleep(UNREACHABLE_SECONDS)
        else:
            self.tally.accuse(f"{operation.kind} was answered {answer.status}: {answer.body[:300]!r}")

    def send(self, operation: Operation) -> Answer | None:
        if operation.job is not None:
            return self.connection.call("GET", f"/v1/jobs/{operation.job}")
        if operation.kind == "delete":
            return self.connection.delete(next(iter(operation.targets)), operation.retry_key)
        documents = [make_document(key, stamp) for key, stamp in operation.targets.items() if stamp is not None]
        if operation.kind == "import":
            return self.connection.load(documents)
        return self.connection.put(documents, operation.retry_key, "?wait=false" if operation.kind == "accept" else "")

    def read_answer(self, operation: Operation, answer: Answer, sent: float) -> None:
        if answer.status == 202:
            operation.job = answer.json["job"]["id"]
            self.journal.note("accepted", operation.targets)
            self.tally.acknowledge(sent, len(operation.targets))
            self.postpone(operation)
            return
        results: list[dict[str, Any]]
        if operation.kind == "delete":
            results = [{"key": next(iter(operation.targets)), "status": "deleted", "version": 0}]
        else:
            results = read_lines(answer.body) if operation.kind == "import" else answer.json["results"]
        stored = {one["key"]: one for one in results if one.get("key") and one["status"] != "failed"}
        self.check_versions(operation, stored)
        self.journal.note(operation.kind, {key: operation.targets[key] for key in stored})
        self.tally.acknowledge(sent, len(stored))
        for key, stamp in operation.targets.items():
            if key in stored:
                self.slots[key].settle(stamp, stored[key].get("version"))
            else:
                self.slots[key].possible.add(stamp)
        self.finish(operation)

    def check_versions(self, operation: Operation, stored: dict[str, dict[str, Any]]) -> None:
        """A request that was sent again with its Idempotency-Key happened once: each version counts one on."""
        if operation.retry_key is None or operation.kind != "put":
            return
        if operation.tries > 1:
            self.tally.count("retries that converged")
        for key, one in stored.items():
            before = self.slots[key].version
            if before is not None and one["version"] != before + 1:
                self.tally.accuse(f"{key} is at version {one['version']}, not {before + 1}: a retry happened twice")

    def follow(self, operation: Operation, answer: Answer) -> None:
        state = answer.json.get("state")
        if state == "succeeded":
            for key, stamp in operation.targets.items():
                self.slots[key].settle(stamp, None)
            self.tally.count("jobs followed to their end")
            self.finish(operation)
        elif state in ("failed", "cancelled") or answer.status == 404:
            self.tally.accuse(f"accepted documents, and their job is {state}: {answer.body[:400]!r}")
        else:
            self.postpone(operation)

    def lose(self, operation: Operation) -> None:
        """No answer: it may have happened or not."""
        self.tally.count("unanswered")
        for key, stamp in operation.targets.items():
            self.slots[key].possible.add(stamp)
        if operation.retry_key is not None or operation.job is not None:
            self.postpone(operation)
            return
        for key in operation.targets:
            self.slots[key].version = None
        self.unanswered.append(operation)
        self.finish(operation)

    def postpone(self, operation: Operation) -> None:
        for key, stamp in operation.targets.items():
            self.slots[key].possible.add(stamp)
        operation.due = time.monotonic() + RETRY_SECONDS
        self.pending = [one for one in self.pending if one is not operation] + [operation]

    def finish(self, operation: Operation) -> None:
        self.pending = [one for one in self.pending if one is not operation]
        for key in operation.targets:
            self.slots[key].busy = False

    def write_shared(self) -> None:
        one = self.chance.choice(self.shared)
        stamp = next(self.stamps) * 100 + int(self.name[1:])  # no two writers make the same
        with one.lock:
            one.sent.add(stamp)
        sent = time.monotonic()
        answer = self.connection.put([make_document(one.key, stamp)])
        if answer is None or answer.status != 200:
            time.sleep(UNREACHABLE_SECONDS if answer is None else 0)
            return
        version = answer.json["results"][0]["version"]
        self.tally.acknowledge(sent, 1)
        with one.lock:
            other = one.acknowledged.setdefault(version, stamp)
        if other != stamp:
            self.tally.accuse(f"{one.key}, version {version}, was acknowledged for {other} and {stamp}")
