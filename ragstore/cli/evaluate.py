import sys
from pathlib import Path
from typing import Annotated, get_args

import msgspec
import typer

from ragstore.cli.figures import Report, round_figures, show, show_means
from ragstore.cli.finding import Found
from ragstore.cli.judged import Judged, read_judged
from ragstore.cli.loading import Outcome, load, open_collection
from ragstore.cli.metrics import measure, percentile
from ragstore.cli.progress import show_progress
from ragstore.cli.reading import read_files
from ragstore.cli.runs import run_queries, time_queries, write_run
from ragstore.cli.screen import err
from ragstore.client import Client, find_service
from ragstore.collection.schemas import Language
from ragstore.errors import ConfigurationError
from ragstore.search.schemas import Mode
from ragstore.settings import load_settings

MODES: tuple[Mode, ...] = get_args(Mode)


def evaluate(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Each with corpus.jsonl, queries.jsonl, qrels.tsv.")
    ],
    collection: Annotated[str | None, typer.Option(help="Default: eval-<name of the folder>.")] = None,
    language: Annotated[
        Language | None, typer.Option(metavar="NAME", help="Language of new collections: english, german, simple, …")
    ] = None,
    mode: Annotated[list[str] | None, typer.Option(help=f"Only this one, of: {', '.join(MODES)}. Repeatable.")] = None,
    run: Annotated[Path | None, typer.Option(help="Write the hits too: query, document, rank, score.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Figures as JSON.")] = False,
) -> None:
    """Measure search on judged queries: nDCG@10, recall@10, recall@100, MRR@10 and latency.

    Loads each folder's corpus first (what is loaded already is left alone). A document scores as its best passage.
    With several folders or modes, `--run FILE` writes FILE.<folder>.<mode> for each.

    Example: `ragstore eval scifact --json`
    """
    modes = choose_modes(mode or [])
    every = [read_judged(folder) for folder in folders]
    check_names([judged.name for judged in every], collection)
    address = find_service(load_settings())
    reports = []
    with Client(address.url, address.api_key) as client:
        for judged in every:
            name = collection or f"eval-{judged.name}"
            run_files = {one: name_run(run, judged.name, one, len(every), len(modes)) for one in modes}
            load_corpus(client, name, judged, language)
            reports.append(evaluate_modes(client, name, judged, run_files))
            if not json:
                show(reports[-1])
    if json:
        answer: Report | list[Report] = reports if len(reports) > 1 else reports[0]
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer)).decode() + "\n")
    elif len(reports) > 1:
        show_means(reports)


def check_names(names: list[str], collection: str | None) -> None:
    if collection is not None and len(names) > 1:
        raise typer.BadParameter("is for one folder: several would be mixed in it", param_hint="--collection")
    if len(set(names)) < len(names):
        raise typer.BadParameter("have the same name: their collections would be one", param_hint="DIR")


def name_run(run: Path | None, dataset: str, mode: Mode, datasets: int, modes: int) -> Path | None:
    if run is None:
        return None
    parts = [run.name, *([dataset] if datasets > 1 else []), *([mode] if modes > 1 else [])]
    return run.with_name(".".join(parts))


def choose_modes(names: list[str]) -> list[Mode]:
    for name in names:
        if name not in MODES:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(MODES)}", param_hint="--mode")
    return [mode for mode in MODES if not names or mode in names]


def load_corpus(client: Client, collection: str, judged: Judged, language: Language | None) -> None:
    open_collection(client, collection, language=language)
    outcome = Outcome()
    size = judged.corpus.stat().st_size
    with show_progress(f"Loading {judged.name}", size) as advance:
        load(client, collection, read_files([Found(judged.corpus, judged.corpus.name, size)]), outcome, advance)
    if outcome.failures:
        name, reason = outcome.failures[0]
        err.print(f"{len(outcome.failures)} documents were refused and count as not found; the first: {name}: {reason}")


def evaluate_modes(client: Client, collection: str, judged: Judged, run_files: dict[Mode, Path | None]) -> Report:
    stored = client.read_collection(collection)
    report = Report(
        judged.name,
        collection,
        stored.embedding_model,
        stored.language,
        stored.document_count,
        len(judged.queries),
    )
    for mode, run_file in run_files.items():
        report.modes[mode] = round_figures(evaluate_mode(client, collection, judged, mode, run_file))
    return report


def evaluate_mode(
    client: Client, collection: str, judged: Judged, mode: Mode, run_file: Path | None
) -> dict[str, float]:
    with show_progress(f"Asking {judged.name} by {mode}", len(judged.queries), "queries") as advance:
        found = run_queries(client, collection, judged.queries, mode, advance)
    if run_file is not None:
        try:
            write_run(run_file, found)
        except OSError as error:
            raise ConfigurationError(f"{run_file} cannot be written: {error.strerror}.") from None
    figures = measure(judged.qrels, found)
    milliseconds = time_queries(client, collection, judged.queries.values(), mode)
    return figures | {"p50_ms": percentile(milliseconds, 0.5), "p95_ms": percentile(milliseconds, 0.95)}
