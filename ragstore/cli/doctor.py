import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

import ragstore
from ragstore.cli.checks import Check, IndexSeen, Level, check_collection, check_recall, check_service
from ragstore.cli.screen import err, out, say
from ragstore.client import Client, RagstoreClientError, find_service
from ragstore.client.paths import collection_path
from ragstore.collection.schemas import CollectionRead
from ragstore.doctor.schemas import ServiceReport
from ragstore.errors import ConfigurationError
from ragstore.recall.schemas import RecallReport
from ragstore.settings import load_settings

ENOUGH = 110  # so many perfect queries prove a recall of 0.95, and one or two misses do not refute it
STYLES: dict[Level, str] = {"ok": "green", "advice": "yellow", "wrong": "bold red"}
FORBIDDEN, NOT_FOUND = 403, 404


class Findings(msgspec.Struct):
    """What `--json` prints. `healthy` is false when something is wrong, and then the exit code is 1."""

    url: str | None = None
    healthy: bool = True
    checks: list[Check] = []
    service: ServiceReport | None = None
    recall: dict[str, RecallReport] = {}


@dataclass
class Examination:
    """`samples` is 0 when recall is not wanted."""

    client: Client
    only: str | None
    samples: int
    seconds: float
    findings: Findings = field(default_factory=Findings)

    def run(self) -> None:
        self.findings.url = self.client.url
        try:
            self.client.health()
        except RagstoreClientError as error:
            self._note(Check("service", "wrong", error.detail, "Start it, or set RAGSTORE_URL to where it is."))
            return
        self._examine_service()
        try:
            for collection in self._list_collections():
                self._examine_collection(collection)
        except RagstoreClientError as error:
            self._note(Check("collections", "wrong", error.detail, about=self.only))

    def _note(self, *checks: Check, about: str | None = None) -> None:
        for check in checks:
            check.about = check.about or about
            self.findings.checks.append(check)
            self.findings.healthy &= check.level != "wrong"

    def _examine_service(self) -> None:
        try:
            report = self.findings.service = self.client.read_service_report()
        except RagstoreClientError as error:
            level: Level = "advice" if error.status in (FORBIDDEN, NOT_FOUND) else "wrong"
            change = "Use an admin key to see the database, jobs and vacuum." if error.status == FORBIDDEN else None
            self._note(Check("service", level, f"answers at {self.client.url}, but: {error.detail}", change))
            return
        self._note(Check("service", "ok", f"ragstore {report.version} at {self.client.url}"))
        if report.version != ragstore.__version__:
            finding = f"this command is of ragstore {ragstore.__version__}, the service of {report.version}"
            self._note(Check("version", "advice", finding, "Use the same version of both."))
        self._note(*check_service(report))

    def _list_collections(self) -> Iterator[CollectionRead]:
        if self.only is None:
            yield from self.client.list_collections()
        else:
            yield self.client.read_collection(self.only)

    def _examine_collection(self, collection: CollectionRead) -> None:
        service = self.findings.service
        unfolded = service.unfolded.get(collection.name, 0) if service else 0
        self._note(*check_collection(collection, self._read_index(collection.name), unfolded), about=collection.name)
        if self.samples and collection.chunk_count:
            self._measure_recall(collection.name)

    def _read_index(self, name: str) -> IndexSeen | None:
        """None where the service has no such address."""
        try:
            return self.client.transport.call(IndexSeen, "GET", f"{collection_path(name)}/index")
        except RagstoreClientError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def _measure_recall(self, name: str) -> None:
        try:
            with err.status(f"Measuring the recall of {name}"):
                report = self.client.read_recall(name, samples=self.samples, seconds=self.seconds)
        except RagstoreClientError as error:
            self._note(Check("recall", "wrong", error.detail), about=name)
            return
        self.findings.recall[name] = report
        self._note(check_recall(report), about=name)


def doctor(
    collection: Annotated[str | None, typer.Option(help="Examine only this one.")] = None,
    samples: Annotated[int, typer.Option(min=1, max=200, help="Queries that measure recall.")] = ENOUGH,
    seconds: Annotated[float, typer.Option(min=0.1, max=60, help="Time for the recall of one collection.")] = 20.0,
    recall: Annotated[bool, typer.Option("--recall/--no-recall", help="Measure recall; it is work.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Findings as JSON.")] = False,
) -> None:
    """Examine a running service: what is fine, and what to change.

    Versions, schema, jobs, vacuum; of each collection its index, and how much of the exact answer a search finds. The
    exit code is 1 when something is wrong.

    Example: `ragstore doctor --collection handbook`
    """
    findings = examine(collection, samples if recall else 0, seconds)
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(findings)).decode() + "\n")
    else:
        show(findings)
    if not findings.healthy:
        raise typer.Exit(1)


def examine(collection: str | None, samples: int, seconds: float) -> Findings:
    settings = load_settings()
    try:
        address = find_service(settings)
    except ConfigurationError as error:
        return Findings(healthy=False, checks=[Check("service", "wrong", error.detail)])
    with Client(address.url, address.api_key, timeout=seconds + 60, retries=2) as client:
        examination = Examination(client, collection, samples, seconds)
        examination.run()
    return examination.findings


def show(findings: Findings) -> None:
    about: str | None = None
    table = start_table("")
    for check in findings.checks:
        if check.about != about:
            out.print(table)
            about = check.about
            table = start_table(f"collection {about}")
        table.add_row(Text(check.level, STYLES[check.level]), check.check, describe(check))
    out.print(table)
    wrong, advice = (sum(one.level == level for one in findings.checks) for level in ("wrong", "advice"))
    say(f"{wrong} wrong, {advice} to consider" if wrong or advice else "All is well.")


def start_table(title: str) -> Table:
    table = Table(title=Text(title) if title else None, title_justify="left", show_header=False, expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    return table


def describe(check: Check) -> Text:
    text = Text(check.finding)
    if check.change:
        text.append(f"\n→ {check.change}", style="bold")
    return text
