"""Passages and vectors that come ready: where the passages stand in the content, and whether the vectors can be used.
Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstore.embedding.given import NoVector, check_width, decode_given, find_unusable
from ragstore.errors import FieldError
from ragstore.fields import check_metadata
from ragstore.ingestion.schemas import ChunkUpsert, DocumentUpsert, Vector

BETWEEN = "\n\n"
NEAR = 1000  # characters between two chunks of a document that nobody wonders at
MOST_FAULTS = 20  # told of one document


@dataclass(frozen=True)
class Ready:
    """One entry a passage: its place in the content, its metadata, its vector where it has one. `faults` say what of
    it cannot be used.
    """

    places: Sequence[tuple[int, int]]
    metadata: Sequence[dict[str, Any]]
    vectors: Mapping[int, NDArray[np.float32]]
    faults: Sequence[FieldError] = field(default=(), compare=False)


def join_chunks(chunks: Sequence[ChunkUpsert]) -> str:
    return BETWEEN.join(one.content for one in chunks)


def read_ready(path: str, document: DocumentUpsert, content: str) -> Ready | None:
    """None for a document that is still to be cut."""
    faults: list[FieldError] = []
    if document.chunks is not None:
        chunks = document.chunks
        if document.vector is not None:
            faults.append(FieldError(f"{path}.vector", "stands with `chunks`: each chunk has its own"))
        if not chunks:
            faults.append(FieldError(f"{path}.chunks", "must not be empty"))
        for number, chunk in enumerate(chunks):
            faults += check_metadata(f"{path}.chunks[{number}].metadata", chunk.metadata)
        places = list(find_places(f"{path}.chunks", content, chunks, faults))
        given = {place: chunk.vector for place, chunk in enumerate(chunks) if chunk.vector is not None}
        vectors = read_vectors({place: f"{path}.chunks[{place}].vector" for place in given}, given, faults)
        return Ready(places, [chunk.metadata for chunk in chunks], vectors, faults)
    if document.vector is None:
        return None
    start = len(content) - len(content.lstrip())
    vectors = read_vectors({0: f"{path}.vector"}, {0: document.vector}, faults)
    return Ready([(start, start + len(content.strip()))], [{}], vectors, faults)


def find_places(
    path: str, content: str, chunks: Sequence[ChunkUpsert], faults: list[FieldError]
) -> Iterator[tuple[int, int]]:
    """Ends early where so much is wrong that nobody would read more."""
    start, end = -1, 0
    for number, chunk in enumerate(chunks):
        if len(faults) >= MOST_FAULTS:
            return
        where = f"{path}[{number}]"
        if not chunk.content.strip():
            faults.append(FieldError(f"{where}.content", "must hold some text"))
        elif chunk.start is None and chunk.end is None:
            found = find_place(content, chunk.content, start, end)
            if found < 0:
                faults.append(
                    FieldError(f"{where}.content", "is not in the document's content behind the chunk before")
                )
            else:
                start, end = found, found + len(chunk.content)
        elif fault := check_place(where, content, chunk):
            faults.append(fault)
        else:
            start, end = chunk.start or 0, chunk.end or 0
        yield start, end


def find_place(content: str, chunk: str, start: int, end: int) -> int:
    """Shortly behind the chunk before, which has `start` and `end`; or where it shares text with it, or further behind.
    In this order the time grows with the content, and not with its square.
    """
    found = content.find(chunk, end, end + len(chunk) + NEAR)
    if found < 0:
        found = content.find(chunk, start + 1, end + len(chunk))
    return content.find(chunk, end) if found < 0 else found


def check_place(path: str, content: str, chunk: ChunkUpsert) -> FieldError | None:
    if chunk.start is None or chunk.end is None:
        name = "start" if chunk.start is None else "end"
        return FieldError(f"{path}.{name}", "is missing: `start` and `end` go together")
    if not 0 <= chunk.start < chunk.end:
        return FieldError(f"{path}.start", f"must be from 0 to below `end`, {chunk.end}, is {chunk.start}")
    if chunk.end > len(content):
        return FieldError(f"{path}.end", f"must not be beyond the content's {len(content)} characters, is {chunk.end}")
    if content[chunk.start : chunk.end] != chunk.content:
        return FieldError(f"{path}.content", "is not what the document's content has from `start` to `end`")
    return None


def read_vectors(
    paths: Mapping[int, str], given: Mapping[int, Vector], faults: list[FieldError]
) -> dict[int, NDArray[np.float32]]:
    """All of one width; those that cannot be used are among the faults too."""
    read: dict[int, NDArray[np.float32]] = {}
    width = None
    for place, one in given.items():
        try:
            vector = decode_given(one)
            check_width(len(vector), width)
        except NoVector as fault:
            faults.append(FieldError(paths[place], str(fault)))
        else:
            read[place] = vector
            width = len(vector)
    if read:
        places = list(read)
        matrix = np.stack(list(read.values())) if len(read) > 1 else read[places[0]][None]
        faults += [FieldError(paths[places[row]], fault) for row, fault in find_unusable(matrix)]
    return read
