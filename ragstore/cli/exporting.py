import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import msgspec
import typer

from ragstore.cli.progress import show_progress
from ragstore.cli.screen import err
from ragstore.client import Client, find_service
from ragstore.document.export.schemas import ExportHeader
from ragstore.settings import load_settings


def export(
    collection: Annotated[str, typer.Argument(help="The collection's name.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; else standard output.")] = None,
    vectors: Annotated[bool, typer.Option("--vectors/--no-vectors", help="With the vectors of the passages.")] = True,
) -> None:
    """Write a collection as lines of JSON, which `ragstore import` reads.

    The file appears under its name when it is whole.

    Example: `ragstore export handbook -o handbook.jsonl`
    """
    address = find_service(load_settings())
    with Client(address.url, address.api_key) as client, open_output(output) as file:
        lines = client.export_lines(collection, vectors=vectors)
        first = next(lines)
        header = msgspec.json.decode(first, type=ExportHeader)
        file.write(first + b"\n")
        with show_progress(f"Exporting {collection}", header.documents or 0) as advance:
            for line in lines:
                file.write(line + b"\n")
                advance(1, 1)
    if output is not None:
        err.print(f"{output}: {output.stat().st_size:,} bytes", soft_wrap=True)


@contextmanager
def open_output(path: Path | None) -> Iterator[IO[bytes]]:
    """What breaks off leaves a `.part` behind, and a file of that name as it was."""
    if path is None:
        yield sys.stdout.buffer
        return
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        yield file
    part.replace(path)
