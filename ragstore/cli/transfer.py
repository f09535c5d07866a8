"""Lines of documents into a collection, whatever they come from: in parts, each sent again until it is stored."""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from ragstore.client import Client, RagstoreClientError
from ragstore.client.transport import choose_wait
from ragstore.ingestion.streaming.schemas import Counts, ImportDone

PART_LINES, PART_BYTES = 5000, 8_000_000
MOST_TRIES = 8  # of a part without a line more being stored
NOT_FOUND = 404
REFUSED = range(400, 500)
BUSY = (409, 429)

Advance = Callable[[int, int], object]


@dataclass
class Imported:
    """`counts` are of the whole import; failures, as (key or line, reason), of this run."""

    counts: Counts = field(default_factory=Counts)
    failures: list[tuple[str, str]] = field(default_factory=list)


def import_lines(
    client: Client,
    collection: str,
    lines: Iterable[bytes],
    *,
    name: str | None = None,
    advance: Advance = lambda size, lines: None,
) -> Imported:
    """Each of `lines` a document as JSON. Under a `name` that was used before, the lines that are stored are passed
    over. Calls `advance(bytes, lines)` after each part. Raises RagstoreClientError when going on is no use: the same
    call again goes on where this one stopped.
    """
    name = name or f"ragstore {uuid.uuid4()}"
    imported = Imported(find_counts(client, collection, name))
    number = 0
    for part in cut_parts(lines):
        stored = imported.counts.lines
        if number + len(part) > stored:
            send_part(client, collection, name, number, part, imported)
        number += len(part)
        advance(sum(map(len, part)), len(part))
    return imported


def cut_parts(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for line in lines:
        part.append(line.rstrip(b"\n") + b"\n")
        size += len(line)
        if len(part) >= PART_LINES or size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def find_counts(client: Client, collection: str, name: str) -> Counts:
    try:
        found = client.read_import(collection, name)
    except RagstoreClientError as error:
        if error.status != NOT_FOUND:
            raise
        return Counts()
    return Counts(found.lines, found.created, found.updated, found.unchanged, found.failed, found.chunks)


def send_part(client: Client, collection: str, name: str, before: int, part: list[bytes], imported: Imported) -> None:
    """`before` lines of the import come before the part; some of the part may be stored as well."""
    tries = 0
    while True:
        stored = imported.counts.lines
        try:
            done = send(client, collection, name, part[stored - before :], imported)
        except RagstoreClientError as error:
            if error.status in REFUSED and error.status not in BUSY:
                raise
            imported.counts = find_counts(client, collection, name)
            tries = tries + 1 if imported.counts.lines == stored else 1
            if tries == MOST_TRIES:
                raise
            time.sleep(choose_wait(tries, None))
        else:
            imported.counts = Counts(done.lines, done.created, done.updated, done.unchanged, done.failed, done.chunks)
            return


def send(client: Client, collection: str, name: str, lines: list[bytes], imported: Imported) -> ImportDone:
    """Failures are noted as they are answered: what is answered is stored, and not answered again."""
    answers = client.import_lines(collection, lines, name=name, after=imported.counts.lines, only_failures=True)
    while True:
        try:
            one = next(answers)
        except StopIteration as end:
            done: ImportDone = end.value
            return done
        reason = one.error.detail if one.error is not None else ""
        imported.failures.append((one.key or f"line {one.line}", reason))
