"""Named places where a test kills, stops, delays or fails this process, to see what is left of its work.

RAGSTORE_FAILPOINTS says which: `documents_written=kill@3,job_claimed=sleep:2`; `@3` is the third pass (the first, if
nothing is said), `@0.1` one pass in ten, by chance. `@FILE` in its place names a file with such a text, read again
whenever it changes, so that a running process can be armed; what was passed and fired is added to `FILE.log`. Unset,
as it is outside of tests, a failpoint costs one comparison.
"""

import os
import random
import re
import signal
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from ragstore.errors import ConfigurationError

VARIABLE = "RAGSTORE_FAILPOINTS"
RULE = re.compile(r"(?P<name>\w+)=(?P<action>kill|raise|stop|sleep:(?P<seconds>\d+(\.\d+)?))(@(?P<when>\d+(\.\d+)?))?")


class Failpoint(StrEnum):
    """Every one there is, in the order in which a document and a job pass them."""

    VALIDATED = "validated"
    EMBEDDED = "embedded"
    DOCUMENTS_WRITTEN = "documents_written"
    PASSAGES_WRITTEN = "passages_written"
    COUNTED = "counted"
    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"
    JOB_CLAIMED = "job_claimed"
    JOB_READ = "job_read"
    JOB_BATCH_STORED = "job_batch_stored"
    JOB_HANDLED = "job_handled"
    JOB_ENDED = "job_ended"
    JOB_COMMITTED = "job_committed"


class InjectedFault(Exception):
    """What a failpoint raises: nothing that the code around it expects."""


@dataclass
class Rule:
    action: str
    seconds: float
    at: int
    chance: float
    passes: int = 0

    def strikes(self) -> bool:
        self.passes += 1
        if self.chance:
            return random.random() < self.chance  # noqa: S311  # guards nothing
        return self.passes == self.at


class Source(Protocol):
    def strike(self, name: str) -> Rule | None:
        """Called at each pass: the rule to follow now, if any."""


@dataclass
class Given:
    rules: dict[str, Rule]

    def strike(self, name: str) -> Rule | None:
        rule = self.rules.get(name)
        return rule if rule is not None and rule.strikes() else None


@dataclass
class Watched:
    """The rules of a file, which may not be there."""

    file: Path
    changed: int = 0
    rules: Given = field(default_factory=lambda: Given({}))
    passed: set[str] = field(default_factory=set)

    def strike(self, name: str) -> Rule | None:
        changed = self.file.stat().st_mtime_ns if self.file.exists() else 0
        if changed != self.changed:
            self.changed = changed
            self.rules = Given(parse_rules(self.file.read_text() if changed else ""))
        if name not in self.passed:
            self.passed.add(name)
            self.note(f"passed {name}")
        rule = self.rules.strike(name)
        if rule is not None:
            self.note(f"fired {name}")
        return rule

    def note(self, line: str) -> None:
        with self.file.with_name(f"{self.file.name}.log").open("a") as log:
            log.write(f"{line}\n")


def parse_rules(text: str) -> dict[str, Rule]:
    """Raises ConfigurationError for what is no rule, or names no failpoint."""
    rules = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        found = RULE.fullmatch(part)
        if found is None or found["name"] not in set(Failpoint):
            raise ConfigurationError(f"{VARIABLE}: {part!r} is no failpoint=kill|raise|stop|sleep:SECONDS[@WHEN].")
        when = found["when"] or "1"
        chance = float(when) if "." in when else 0.0
        rules[found["name"]] = Rule(found["action"], float(found["seconds"] or 0), int(float(when)), chance)
    return rules


def choose_source(text: str) -> Source | None:
    if not text:
        return None
    return Watched(Path(text[1:])) if text.startswith("@") else Given(parse_rules(text))


source: Source | None = choose_source(os.environ.get(VARIABLE, ""))


def failpoint(name: Failpoint) -> None:
    if source is not None and (rule := source.strike(name)) is not None:
        act(rule, name)


def act(rule: Rule, name: str) -> None:
    if rule.action == "raise":
        raise InjectedFault(name)
    if rule.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif rule.action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        time.sleep(rule.seconds)  # the event loop too, as a process that is starved


def arm(text: str) -> None:
    """In this process, for tests that run the service in their own; an empty text disarms."""
    global source  # what the environment says is as global
    source = choose_source(text)
