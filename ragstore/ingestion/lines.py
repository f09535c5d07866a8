"""Accepted documents as NDJSON: line n is document n of the request, and empty when that one was refused. Pure."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

MEDIA_TYPE = "application/x-ndjson"
MOST_DOCUMENTS = 100  # of a batch
LARGEST_BATCH = 1024 * 1024  # bytes, unless one document is larger


@dataclass(frozen=True)
class Line:
    """`index` is the document's place in the request."""

    index: int
    document: Any

    @property
    def key(self) -> str | None:
        key: str | None = self.document.get("key")
        return key


def encode_lines(documents: Sequence[object | None]) -> bytes:
    return b"".join((b"" if one is None else msgspec.json.encode(one)) + b"\n" for one in documents)


def count_lines(content: bytes) -> int:
    """Without the empty ones."""
    return sum(1 for line in io.BytesIO(content) if line.strip())


def read_batches(content: bytes, skip: int) -> Iterator[list[Line]]:
    """Of the documents after the first `skip`; each batch is decoded when it is asked for."""
    filled = ((index, line) for index, line in enumerate(io.BytesIO(content)) if line.strip())
    batch: list[tuple[int, bytes]] = []
    size = 0
    for index, line in islice(filled, skip, None):
        if batch and (len(batch) >= MOST_DOCUMENTS or size + len(line) > LARGEST_BATCH):
            yield [Line(number, msgspec.json.decode(one)) for number, one in batch]
            batch, size = [], 0
        batch.append((index, line))
        size += len(line)
    if batch:
        yield [Line(number, msgspec.json.decode(one)) for number, one in batch]
