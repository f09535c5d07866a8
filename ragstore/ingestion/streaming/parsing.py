"""Lines as documents, in batches that can be stored at once. Pure."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from ragstore.document.export.schemas import ExportEnd, ExportHeader
from ragstore.errors import BodyTooLarge, InvalidDocument, InvalidRequest
from ragstore.fields import read_fault
from ragstore.ingestion.schemas import DocumentFault, FieldFault
from ragstore.ingestion.streaming.lines import Line
from ragstore.ingestion.streaming.schemas import LineResult, StreamedDocument
from ragstore.problems import explain_syntax

NOTHING_READ = hashlib.sha256(b"").digest()
TOO_LONG = b"\n"  # no line holds it


@dataclass(frozen=True)
class Entry:
    """A line with its document, or with its answer when it is none, or with neither when nothing is to be said of it.

    `digest` is of this line and all before it.
    """

    number: int
    digest: bytes
    document: StreamedDocument | None = None
    answer: LineResult | None = None


@dataclass(frozen=True)
class Batch:
    """Lines that follow each other, no key twice among them."""

    entries: Sequence[Entry]

    @property
    def end(self) -> Entry:
        return self.entries[-1]


class CutOff(Exception):
    """The last line is half of one."""

    def __init__(self, number: int) -> None:
        super().__init__(f"The body ends within line {number}.")


decode_document = msgspec.json.Decoder(StreamedDocument).decode
decode_any = msgspec.json.Decoder().decode
decode_header = msgspec.json.Decoder(ExportHeader).decode
decode_end = msgspec.json.Decoder(ExportEnd).decode


def extend_digest(digest: bytes, line: Line) -> bytes:
    return hashlib.sha256(digest + (TOO_LONG if line.text is None else line.text)).digest()


def read_lines(lines: Iterable[Line], digest: bytes, longest: int) -> Iterator[Entry]:
    """Raises CutOff for a last line that breaks off."""
    for line in lines:
        digest = extend_digest(digest, line)
        yield read_line(line, digest, longest)


def read_line(line: Line, digest: bytes, longest: int) -> Entry:
    if line.text is None:
        if not line.ended:
            raise CutOff(line.number)
        return fail(line, digest, BodyTooLarge.type(), f"The line is longer than {longest} bytes.")
    if not line.text.strip():
        return Entry(line.number, digest)
    try:
        return Entry(line.number, digest, decode_document(line.text))
    except msgspec.ValidationError as error:
        if is_frame(line.text):
            return Entry(line.number, digest)
        fault = read_fault(str(error))
        detail = f"{fault.path} {fault.message}.".lstrip()
        faults = [FieldFault(fault.path, fault.message)]
        return fail(line, digest, InvalidDocument.type(), detail, find_key(line.text), faults)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not line.ended:
            raise CutOff(line.number) from None
        why = explain_syntax(str(error)) if isinstance(error, msgspec.DecodeError) else "it is not UTF-8"
        why = "it is nested too deeply" if isinstance(error, RecursionError) else why
        return fail(line, digest, InvalidRequest.type(), f"The line is not JSON: {why}.")


def fail(
    line: Line, digest: bytes, type: str, detail: str, key: str | None = None, errors: Sequence[FieldFault] = ()
) -> Entry:
    fault = DocumentFault(type, detail, list(errors))
    return Entry(line.number, digest, answer=LineResult(line.number, key, None, "failed", error=fault))


def is_frame(text: bytes) -> bool:
    """The first or last line of an export, which say nothing of documents."""
    for decode in (decode_header, decode_end):
        try:
            decode(text)
        except msgspec.DecodeError:
            continue
        return True
    return False


def find_key(text: bytes) -> str | None:
    """Many a bad document still says which it is."""
    try:
        given = decode_any(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    key = given.get("key") if isinstance(given, dict) else None
    return key if isinstance(key, str) else None


def cut_batches(entries: Iterable[Entry]) -> Iterator[Batch]:
    """A key that comes again begins a new one: the later line wins, as it would in posts of their own."""
    batch: list[Entry] = []
    keys: set[str] = set()
    for entry in entries:
        key = entry.document.key if entry.document is not None else None
        if key is not None and key in keys:
            yield Batch(batch)
            batch, keys = [], set()
        batch.append(entry)
        if key is not None:
            keys.add(key)
    if batch:
        yield Batch(batch)
