import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from msgspec import UNSET
from rich.table import Table
from rich.text import Text

from ragstore.cli.finding import TABLE_SUFFIX, VECTOR_SUFFIX, Search, find_files
from ragstore.cli.items import Item, Tables
from ragstore.cli.loading import Outcome, load, open_collection, require_model
from ragstore.cli.progress import show_progress
from ragstore.cli.reading import read_files, read_stdin
from ragstore.cli.screen import err, out, say
from ragstore.client import Client, find_service
from ragstore.collection.schemas import ChunkingUpdate, Language, Prefix, Strategy
from ragstore.settings import load_settings

DEFAULT_COLLECTION = "default"
MOST_LISTED = 50
STDIN = "-"
SCHEMES = ("http://", "https://")


def ingest(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, quoted patterns, `-`, URLs.", metavar="PATH")],
    collection: Annotated[str, typer.Option(help="Made if it is not there.")] = DEFAULT_COLLECTION,
    model: Annotated[str | None, typer.Option(help="Embedding model of a new collection.")] = None,
    language: Annotated[
        Language | None, typer.Option(metavar="NAME", help="Language of a new collection: english, german, simple, …")
    ] = None,
    chunk_size: Annotated[int | None, typer.Option(min=16, max=8192, help="Tokens; of a new collection.")] = None,
    chunk_overlap: Annotated[int | None, typer.Option(min=0, max=4096, help="Tokens that passages share.")] = None,
    strategy: Annotated[
        Strategy | None, typer.Option(metavar="NAME", help="How to cut: tokens, markdown, sentences, none.")
    ] = None,
    prefix: Annotated[
        Prefix | None, typer.Option(metavar="NAME", help="Put before passages: none, title, heading.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Of the document that `-` reads.")] = None,
    allow_urls: Annotated[bool, typer.Option("--allow-urls", help="Fetch URLs.")] = False,
    allow_private: Annotated[bool, typer.Option("--allow-private", help="From private networks too.")] = False,
    texts: Annotated[Path | None, typer.Option(help="Records, one for each row of a .npy.")] = None,
    text_column: Annotated[str, typer.Option(help="Of a Parquet file.")] = "text",
    key_column: Annotated[str, typer.Option(help="Of a Parquet file.")] = "id",
    vector_column: Annotated[str | None, typer.Option(help="Of a Parquet file.")] = None,
) -> None:
    """Load files into a collection: text, Markdown, PDF, Office, HTML, a `.jsonl` of documents, ready vectors.

    A file's key is its path below the folder given; a record's is its `_id`, `id` or `key`. What is stored
    already and has not changed is left alone, so running it again is cheap. Exit code 1 if anything failed.

    Example: `ragstore ingest docs README.md --collection handbook`
    """
    urls = [one for one in paths if one.lower().startswith(SCHEMES)]
    if urls and not allow_urls:
        raise typer.BadParameter("URLs are fetched with --allow-urls only", param_hint="PATH")
    search = find_files(one for one in paths if one != STDIN and one not in urls)
    tables = Tables(texts, text_column, key_column, vector_column)
    inputs = Inputs(search, tables, tuple(urls), STDIN in paths, key, allow_private)
    chunking = choose_chunking(chunk_size, chunk_overlap, strategy, prefix)
    begun = time.monotonic()
    outcome = load_inputs(inputs, collection, model, language, chunking)
    show_outcome(outcome, time.monotonic() - begun)
    show_skipped(outcome, search)
    show_failures(outcome)
    if outcome.failures:
        raise typer.Exit(1)


@dataclass(frozen=True)
class Inputs:
    """What is to be read. `key` is of the document that standard input is."""

    search: Search
    tables: Tables
    urls: tuple[str, ...]
    stdin: bool
    key: str | None
    allow_private: bool

    def read(self, stack: ExitStack) -> Iterator[Item]:
        yield from read_files(self.search.files, self.tables)
        if self.stdin:
            yield from read_stdin(sys.stdin.buffer, self.key)
        yield from fetch(self.urls, self.allow_private, stack)


def load_inputs(
    inputs: Inputs, collection: str, model: str | None, language: Language | None, chunking: ChunkingUpdate | None
) -> Outcome:
    address = find_service(load_settings())
    outcome = Outcome()
    for name, reason in inputs.search.failures:
        outcome.fail(name, reason)
    with Client(address.url, address.api_key) as client, ExitStack() as stack:
        if brings_vectors(inputs.search, inputs.tables):
            require_model(client, collection, model)
        items = inputs.read(stack)
        first = next(items, None)  # what is wrong with how it was called is told before a collection is made
        open_collection(client, collection, model=model, language=language, chunking=chunking)
        with show_progress(f"Loading {collection}", inputs.search.size) as advance:
            load(client, collection, chain([] if first is None else [first], items), outcome, advance)
    return outcome


def brings_vectors(search: Search, tables: Tables) -> bool:
    suffixes = {one.suffix for one in search.files}
    return VECTOR_SUFFIX in suffixes or (TABLE_SUFFIX in suffixes and tables.vector_column is not None)


def fetch(urls: Sequence[str], allow_private: bool, stack: ExitStack) -> Iterator[Item]:
    if not urls:
        return
    from ragstore.cli.fetching import Fetcher, fetch_all  # noqa: PLC0415 - off unless it is allowed

    fetcher = Fetcher(allow_private=allow_private)
    stack.callback(fetcher.close)
    yield from fetch_all(urls, fetcher)


def choose_chunking(
    size: int | None, overlap: int | None, strategy: Strategy | None, prefix: Prefix | None
) -> ChunkingUpdate | None:
    if size is None and overlap is None and strategy is None and prefix is None:
        return None
    return ChunkingUpdate(
        UNSET if size is None else size,
        UNSET if overlap is None else overlap,
        UNSET if strategy is None else strategy,
        UNSET if prefix is None else prefix,
    )


def show_outcome(outcome: Outcome, seconds: float) -> None:
    table = Table("created", "updated", "unchanged", "failed", title_justify="left")
    known = ("created", "updated", "unchanged", "failed")
    for other in sorted(set(outcome.counts) - set(known)):
        table.add_column(other)
    table.add_row(*(f"{outcome.counts[str(column.header)]:,}" for column in table.columns))
    out.print(table)
    things = "document" if outcome.documents == 1 else "documents"
    say(f"{outcome.documents:,} {things} in {seconds:.1f} s ({outcome.documents / max(seconds, 0.001):,.0f}/s)")


def show_skipped(outcome: Outcome, search: Search) -> None:
    skipped = {"hidden": search.hidden, "of other types": search.other_types, "binary": outcome.binary}
    if any(skipped.values()):
        say("Skipped: " + ", ".join(f"{number:,} {why}" for why, number in skipped.items() if number))


def show_failures(outcome: Outcome) -> None:
    for name, reason in outcome.failures[:MOST_LISTED]:
        err.print(Text.assemble((name, "bold"), f": {reason}"), soft_wrap=True)
    if len(outcome.failures) > MOST_LISTED:
        err.print(f"… and {len(outcome.failures) - MOST_LISTED:,} more failures")
