"""A collection out of the file that `ragstore export` wrote."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import typer
from msgspec import structs
from rich.table import Table
from rich.text import Text

from ragstore.cli.progress import show_progress
from ragstore.cli.screen import err, out, say
from ragstore.cli.transfer import Imported, find_counts, import_lines
from ragstore.client import Client, RagstoreClientError, find_service
from ragstore.collection.schemas import ChunkingUpdate, CollectionCreate
from ragstore.document.export.schemas import ExportedCollection, ExportEnd, ExportHeader
from ragstore.errors import ConfigurationError
from ragstore.settings import load_settings

CONFLICT, MOST_LISTED, LONGEST_END = 409, 50, 4096


def import_file(file: Path, *, collection: str | None, model: str | None, partial: bool, again: bool) -> None:
    """Raises typer.Exit with code 1 if a document failed."""
    if not file.is_file():
        raise ConfigurationError(f"{file} is no regular file: it is read more than once.")
    header = read_header(file)
    documents = sum(1 for _ in read_lines(file))
    if not partial:
        check_end(file, documents)
    address = find_service(load_settings())
    begun = time.monotonic()
    with Client(address.url, address.api_key) as client:
        target = open_target(client, collection or header.collection.name, header, model)
        name = f"ragstore import {name_file(file)}" if not again else None
        if name is not None and find_counts(client, target, name).lines >= documents:
            say("It was imported to its end before: now again from the first line.")
            name = None
        with show_progress(f"Importing {target}", file.stat().st_size) as advance:
            imported = import_lines(client, target, read_lines(file), name=name, advance=advance)
    show_imported(imported, time.monotonic() - begun)
    if imported.failures:
        raise typer.Exit(1)


def read_header(file: Path) -> ExportHeader:
    with file.open("rb") as lines:
        first = lines.readline(1_000_000)
    try:
        return msgspec.json.decode(first, type=ExportHeader)
    except msgspec.DecodeError:
        raise ConfigurationError(
            f"{file} does not begin like an export. `ragstore ingest` loads files and lines of documents."
        ) from None


def check_end(file: Path, documents: int) -> None:
    """Raises ConfigurationError for a file that is not whole; `documents` are in it."""
    with file.open("rb") as lines:
        lines.seek(max(0, file.stat().st_size - LONGEST_END))
        last = lines.read().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        end = msgspec.json.decode(last, type=ExportEnd)
    except msgspec.DecodeError:
        end = ExportEnd(False, 0)
    if not end.done:
        raise ConfigurationError(f"{file} breaks off: it has no last line. To take what is there: --partial")
    if documents != end.documents:
        raise ConfigurationError(
            f"{file} has {documents:,} documents where its last line says {end.documents:,}. To take them: --partial"
        )


def name_file(file: Path) -> str:
    """What tells it from others: when it was exported is in its first line."""
    with file.open("rb") as lines:
        return hashlib.sha256(lines.readline()).hexdigest()[:32]


def read_lines(file: Path) -> Iterator[bytes]:
    """Of the documents. Half a line at the end of a partial file is left out."""
    with file.open("rb") as lines:
        next(lines)
        for line in lines:
            if not line.startswith(b'{"done":') and line.endswith(b"\n"):
                yield line


def open_target(client: Client, name: str, header: ExportHeader, model: str | None) -> str:
    """The collection's name. Raises ConfigurationError for one that is there with other settings."""
    wanted = header.collection
    if model is not None and model != wanted.embedding_model:
        if header.vectors:
            raise ConfigurationError(f"The file has vectors of {wanted.embedding_model}: export it with --no-vectors.")
        wanted = structs.replace(wanted, embedding_model=model)
    try:
        client.create_collection(to_create(name, wanted))
    except RagstoreClientError as error:
        if error.status != CONFLICT:
            raise
    found = client.read_collection(name)
    for what in ("embedding_model", "language", "metric"):
        if (has := getattr(found, what)) != (wants := getattr(wanted, what)):
            raise ConfigurationError(f"The collection {name} has the {what} {has}, the file {wants}: choose another.")
    return name


def to_create(name: str, wanted: ExportedCollection) -> CollectionCreate:
    return CollectionCreate(
        name,
        wanted.title,
        wanted.embedding_model,
        ChunkingUpdate(**structs.asdict(wanted.chunking)),
        wanted.language,  # type: ignore[arg-type]  # the service checks it
        wanted.metric,
        wanted.metadata,
    )


def show_imported(imported: Imported, seconds: float) -> None:
    counts = imported.counts
    table = Table("created", "updated", "unchanged", "failed", title_justify="left")
    table.add_row(*(f"{one:,}" for one in (counts.created, counts.updated, counts.unchanged, counts.failed)))
    out.print(table)
    say(f"{counts.lines:,} documents, {counts.chunks:,} passages, {seconds:.1f} s")
    for name, reason in imported.failures[:MOST_LISTED]:
        err.print(Text.assemble((name, "bold"), f": {reason}"), soft_wrap=True)
    if len(imported.failures) > MOST_LISTED:
        err.print(f"… and {len(imported.failures) - MOST_LISTED:,} more failures")
