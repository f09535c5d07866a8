import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from ragstore.cli.finding import Search, find_files
from ragstore.cli.loading import Outcome, load, open_collection
from ragstore.cli.progress import show_progress
from ragstore.cli.reading import read_files
from ragstore.cli.screen import err, out, say
from ragstore.client import Client, find_service
from ragstore.collection.schemas import Language
from ragstore.settings import load_settings

DEFAULT_COLLECTION = "default"
MOST_LISTED = 50


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.", metavar="PATH")],
    collection: Annotated[str, typer.Option(help="Made if it is not there.")] = DEFAULT_COLLECTION,
    model: Annotated[str | None, typer.Option(help="Embedding model of a new collection.")] = None,
    language: Annotated[
        Language | None, typer.Option(metavar="NAME", help="Language of a new collection: english, german, simple, …")
    ] = None,
) -> None:
    """Load text and Markdown, or a `.jsonl` of documents, into a collection.

    A file's key is its path below the folder given; a record's is its `_id`, `id` or `key`. What is stored
    already and has not changed is left alone, so running it again is cheap. Exit code 1 if anything failed.

    Example: `ragstore ingest docs README.md --collection handbook`
    """
    search = find_files(paths)
    address = find_service(load_settings())
    outcome = Outcome()
    for name, reason in search.failures:
        outcome.fail(name, reason)
    begun = time.monotonic()
    with Client(address.url, address.api_key) as client:
        open_collection(client, collection, model=model, language=language)
        with show_progress(f"Loading {collection}", search.size) as advance:
            load(client, collection, read_files(search.files), outcome, advance)
    show_outcome(outcome, time.monotonic() - begun)
    show_skipped(outcome, search)
    show_failures(outcome)
    if outcome.failures:
        raise typer.Exit(1)


def show_outcome(outcome: Outcome, seconds: float) -> None:
    table = Table("created", "updated", "unchanged", "failed", title_justify="left")
    known = ("created", "updated", "unchanged", "failed")
    for other in sorted(set(outcome.counts) - set(known)):
        table.add_column(other)
    table.add_row(*(f"{outcome.counts[str(column.header)]:,}" for column in table.columns))
    out.print(table)
    say(f"{outcome.documents:,} documents in {seconds:.1f} s ({outcome.documents / max(seconds, 0.001):,.0f}/s)")


def show_skipped(outcome: Outcome, search: Search) -> None:
    skipped = {"hidden": search.hidden, "of other types": search.other_types, "binary": outcome.binary}
    if any(skipped.values()):
        say("Skipped: " + ", ".join(f"{number:,} {why}" for why, number in skipped.items() if number))


def show_failures(outcome: Outcome) -> None:
    for name, reason in outcome.failures[:MOST_LISTED]:
        err.print(Text.assemble((name, "bold"), f": {reason}"), soft_wrap=True)
    if len(outcome.failures) > MOST_LISTED:
        err.print(f"… and {len(outcome.failures) - MOST_LISTED:,} more failures")
