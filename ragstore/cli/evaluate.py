import sys
from pathlib import Path
from typing import Annotated, get_args

import msgspec
import typer
from rich.table import Table

from ragstore.cli.finding import Found
from ragstore.cli.judged import Judged, read_judged
from ragstore.cli.loading import Outcome, load
from ragstore.cli.metrics import measure, percentile
from ragstore.cli.progress import show_progress
from ragstore.cli.reading import read_files
from ragstore.cli.runs import run_queries, time_queries, write_run
from ragstore.cli.screen import err, out, say
from ragstore.client import Client, find_service
from ragstore.errors import ConfigurationError
from ragstore.search.schemas import Mode
from ragstore.settings import load_settings

MODES: tuple[Mode, ...] = get_args(Mode)
MILLISECONDS = ("p50_ms", "p95_ms")


class Report(msgspec.Struct):
    """What `--json` prints: per mode the quality, and the latency of one HTTP request for ten hits."""

    dataset: str
    collection: str
    embedding_model: str
    documents: int
    queries: int
    modes: dict[str, dict[str, float]] = {}


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="With corpus.jsonl, queries.jsonl and qrels.tsv.")],
    collection: Annotated[str | None, typer.Option(help="Default: eval-<name of the folder>.")] = None,
    mode: Annotated[list[str] | None, typer.Option(help=f"Only this one, of: {', '.join(MODES)}. Repeatable.")] = None,
    run: Annotated[Path | None, typer.Option(help="Write the hits too: query, document, rank, score.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Figures as JSON.")] = False,
) -> None:
    """Measure search on judged queries: nDCG@10, recall@10, recall@100, MRR@10 and latency.

    Loads the folder's corpus first (what is loaded already is left alone). A document scores as its best passage.
    With several modes, `--run FILE` writes FILE.<mode> for each.

    Example: `ragstore eval scifact --json`
    """
    modes = choose_modes(mode or [])
    judged = read_judged(folder)
    address = find_service(load_settings())
    name = collection or f"eval-{judged.name}"
    with Client(address.url, address.api_key) as client:
        load_corpus(client, name, judged)
        stored = client.read_collection(name)
        report = Report(judged.name, name, stored.embedding_model, stored.document_count, len(judged.queries))
        for one in modes:
            run_file = run and (run if len(modes) == 1 else run.with_name(f"{run.name}.{one}"))
            report.modes[one] = evaluate_mode(client, name, judged, one, run_file)
    show(report, json)


def choose_modes(names: list[str]) -> list[Mode]:
    for name in names:
        if name not in MODES:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(MODES)}", param_hint="--mode")
    return [mode for mode in MODES if not names or mode in names]


def load_corpus(client: Client, collection: str, judged: Judged) -> None:
    client.ensure_collection(collection)
    outcome = Outcome()
    size = judged.corpus.stat().st_size
    with show_progress(f"Loading {judged.name}", size) as advance:
        load(client, collection, read_files([Found(judged.corpus, judged.corpus.name, size)]), outcome, advance)
    if outcome.failures:
        name, reason = outcome.failures[0]
        err.print(f"{len(outcome.failures)} documents were refused and count as not found; the first: {name}: {reason}")


def evaluate_mode(
    client: Client, collection: str, judged: Judged, mode: Mode, run_file: Path | None
) -> dict[str, float]:
    with show_progress(f"Asking by {mode}", len(judged.queries)) as advance:
        found = run_queries(client, collection, judged.queries, mode, advance)
    if run_file is not None:
        try:
            write_run(run_file, found)
        except OSError as error:
            raise ConfigurationError(f"{run_file} cannot be written: {error.strerror}.") from None
    figures = measure(judged.qrels, found)
    milliseconds = time_queries(client, collection, judged.queries.values(), mode)
    return figures | {"p50_ms": percentile(milliseconds, 0.5), "p95_ms": percentile(milliseconds, 0.95)}


def show(report: Report, json: bool) -> None:
    rounded = {
        mode: {name: round(value, 2 if name in MILLISECONDS else 6) for name, value in figures.items()}
        for mode, figures in report.modes.items()
    }
    if json:
        report.modes = rounded
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
        return
    table = Table("mode", *(one.removesuffix("_ms") for one in next(iter(rounded.values()))))
    for mode, figures in rounded.items():
        cells = [f"{value:.1f} ms" if name in MILLISECONDS else f"{value:.3f}" for name, value in figures.items()]
        table.add_row(mode, *cells)
    out.print(table)
    say(f"{report.dataset}: {report.documents:,} documents, {report.queries:,} queries, {report.embedding_model}")
