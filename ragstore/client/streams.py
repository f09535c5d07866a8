"""The calls whose bodies or answers have any length."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import msgspec

from ragstore.client.faults import RagstoreClientError
from ragstore.client.paths import Filter, collection_path, to_json
from ragstore.client.transport import Transport
from ragstore.document.export.schemas import ExportedDocument, ExportEnd, ExportHeader
from ragstore.ingestion.schemas import DocumentUpsert
from ragstore.ingestion.streaming.lines import LineSplitter
from ragstore.ingestion.streaming.schemas import ImportDone, ImportPositionRead, ImportStopped, LineResult

Shape = TypeVar("Shape")
LONGEST_LINE = 1 << 31
END = b'{"done":'


class StreamCalls:
    transport: Transport

    def import_documents(
        self,
        collection: str,
        documents: Iterable[DocumentUpsert | Mapping[str, Any]],
        *,
        name: str | None = None,
        only_failures: bool = False,
    ) -> Generator[LineResult, None, ImportDone]:
        """Any number of them, sent while they are made; then what became of each, in order, and returned at the end
        the sum. The same again under the same `name` goes on where it stopped: what was answered is sent, but
        neither stored nor answered again.
        """
        lines = (msgspec.json.encode(one) + b"\n" for one in documents)
        return self.import_lines(collection, lines, name=name, only_failures=only_failures)

    def import_lines(
        self,
        collection: str,
        lines: Iterable[bytes],
        *,
        name: str | None = None,
        after: int = 0,
        only_failures: bool = False,
    ) -> Generator[LineResult, None, ImportDone]:
        """Documents that are JSON already, each with its line feed; `after`: so many, which are stored under `name`,
        are left out.
        """
        params = {"import": name, "after": after or None, "results": "failures" if only_failures else None}
        path = f"{collection_path(collection)}/documents/import"
        with self.transport.stream("POST", path, params=params, lines=lines) as pieces:
            for line in split(pieces):
                if line.startswith(END):
                    return read_end(line)
                if line.startswith(b'{"line":'):
                    yield read(line, LineResult)
        raise broken_off()

    def read_import(self, collection: str, name: str) -> ImportPositionRead:
        """How far it has come."""
        path = f"{collection_path(collection)}/documents/import"
        return self.transport.call(ImportPositionRead, "GET", path, params={"import": name})

    def export_documents(
        self, collection: str, *, vectors: bool = True, filter: Filter | None = None
    ) -> Iterator[ExportedDocument]:
        """All of them, in the order they were first stored. Raises RagstoreClientError when it breaks off."""
        lines = self.export_lines(collection, vectors=vectors, filter=filter)
        read(next(lines), ExportHeader)
        for line in lines:
            if not line.startswith(END):
                yield read(line, ExportedDocument)

    def export_lines(self, collection: str, *, vectors: bool = True, filter: Filter | None = None) -> Iterator[bytes]:
        """The header, each document and the last line, without line feeds."""
        params = {"vectors": str(vectors).lower(), "filter": to_json(filter)}
        path = f"{collection_path(collection)}/export"
        answer: AbstractContextManager[Iterator[bytes]] = self.transport.stream("GET", path, params=params)
        with answer as pieces:
            for line in split(pieces):
                if line.startswith(END) and not (end := read(line, ExportEnd)).done:
                    raise RagstoreClientError(f"The export broke off: {end.error.detail if end.error else '?'}")
                yield line
                if line.startswith(END):
                    return
        raise broken_off()


def split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """At line feeds alone: text may hold other characters that end lines elsewhere."""
    splitter = LineSplitter(LONGEST_LINE)
    for piece in pieces:
        for line in splitter.feed(piece):
            yield line.text or b""


def read(line: bytes, kind: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.MsgspecError as error:
        raise RagstoreClientError(f"The service did not answer like a ragstore ({error}).") from error


def read_end(line: bytes) -> ImportDone:
    """Raises RagstoreClientError for an import that had to stop."""
    if not line.startswith(END + b"false"):
        return read(line, ImportDone)
    stopped = read(line, ImportStopped)
    fault = stopped.error
    raise RagstoreClientError(
        f"Stopped after line {stopped.lines}: {fault.detail}", status=fault.status, type=fault.type
    )


def broken_off() -> RagstoreClientError:
    return RagstoreClientError("The answer broke off before its last line.")
