"""What an evaluation found, for people and programs."""

import msgspec
from rich.table import Table

from ragstore.cli.screen import out, say

MILLISECONDS = ("p50_ms", "p95_ms")


class Report(msgspec.Struct):
    """What `--json` prints: per mode the quality, and the latency of one HTTP request for ten hits."""

    dataset: str
    collection: str
    embedding_model: str
    language: str
    documents: int
    queries: int
    modes: dict[str, dict[str, float]] = {}


def round_figures(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2 if name in MILLISECONDS else 6) for name, value in figures.items()}


def show(report: Report) -> None:
    out.print(make_table(report.modes))
    say(
        f"{report.dataset}: {report.documents:,} documents, {report.queries:,} queries, {report.embedding_model},"
        f" {report.language}"
    )


def show_means(reports: list[Report]) -> None:
    """Each folder counts the same, however many queries it has."""
    modes = {
        mode: {name: sum(one.modes[mode][name] for one in reports) / len(reports) for name in figures}
        for mode, figures in reports[0].modes.items()
    }
    out.print(make_table(modes))
    say(f"Mean of {len(reports)} folders")


def make_table(modes: dict[str, dict[str, float]]) -> Table:
    table = Table("mode", *(one.removesuffix("_ms") for one in next(iter(modes.values()))))
    for mode, figures in modes.items():
        cells = [f"{value:.1f} ms" if name in MILLISECONDS else f"{value:.3f}" for name, value in figures.items()]
        table.add_row(mode, *cells)
    return table
