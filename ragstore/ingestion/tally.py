"""What has become of the documents of a job so far. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ragstore.ingestion.lines import Line
from ragstore.ingestion.schemas import DocumentFault, DocumentResult

MOST_FAILURES = 100  # told of one job


class Failure(msgspec.Struct, frozen=True):
    """`index` is the document's place in the request."""

    index: int
    key: str | None
    error: DocumentFault | None


class Tally(msgspec.Struct, frozen=True):
    """A job's `result`. `superseded` documents were not stored, since something newer was asked for their keys."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    failed: int = 0
    chunks: int = 0
    failures: list[Failure] = []

    @property
    def done(self) -> int:
        return self.created + self.updated + self.unchanged + self.superseded + self.failed

    def add(self, lines: Sequence[Line], results: Sequence[DocumentResult], *, superseded: int) -> "Tally":
        """`results` of `lines`; `superseded` others of the same batch were left out."""
        statuses = [one.status for one in results]
        failures = [
            Failure(line.index, line.key, place(result.error, number, line.index))
            for number, (line, result) in enumerate(zip(lines, results, strict=True))
            if result.status == "failed"
        ]
        return Tally(
            self.created + statuses.count("created"),
            self.updated + statuses.count("updated"),
            self.unchanged + statuses.count("unchanged"),
            self.superseded + superseded,
            self.failed + len(failures),
            self.chunks + sum(one.chunks or 0 for one in results if one.status in ("created", "updated")),
            [*self.failures, *failures][:MOST_FAILURES],
        )

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = msgspec.to_builtins(self)
        return value


def read_tally(result: object) -> Tally:
    """Of a job that has stored some already."""
    return Tally() if result is None else msgspec.convert(result, Tally)


def place(error: DocumentFault | None, number: int, index: int) -> DocumentFault | None:
    """Paths count from the request's first document, not from the batch's."""
    if error is None:
        return None
    here, there = f"documents[{number}]", f"documents[{index}]"
    errors = [msgspec.structs.replace(one, path=one.path.replace(here, there, 1)) for one in error.errors]
    return DocumentFault(error.type, error.detail.replace(here, there, 1), errors)
