"""Files to documents, one at a time: a file of any size is never in memory whole, unless it is one document."""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ragstore.cli.finding import Found
from ragstore.ingestion.schemas import DocumentUpsert

BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
UNDERLINED = re.compile(r"^(?P<title>\S.*)\n(?:={3,}|-{3,}|\*{3,})[ \t]*$", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LONGEST_TITLE = 500
KEY_NAMES, TEXT_NAMES = ("_id", "id", "key"), ("text", "content")


@dataclass(frozen=True)
class Item:
    """What one file or one line gave: a document, or the reason why not. `size` is its bytes in the file."""

    name: str
    size: int
    document: DocumentUpsert | None = None
    fault: str | None = None
    binary: bool = False


class Unreadable(Exception):
    """The reason, to be put after the name of the file or the line."""


def read_files(files: Iterable[Found]) -> Iterator[Item]:
    for file in files:
        try:
            if file.has_records:
                yield from read_records(file.path)
            else:
                yield read_file(file)
        except OSError as error:
            yield Item(file.path.as_posix(), file.size, fault=error.strerror or str(error))


def read_file(file: Found) -> Item:
    name = file.path.as_posix()
    raw = file.path.read_bytes()
    if b"\0" in raw[:8192] and not raw.startswith(BOMS[1][0]) and not raw.startswith(BOMS[2][0]):
        return Item(name, file.size, binary=True)
    try:
        content = decode(raw)
    except Unreadable as unreadable:
        return Item(name, file.size, fault=str(unreadable))
    if not content.strip():
        return Item(name, file.size, fault="is empty")
    return Item(name, file.size, DocumentUpsert(content, file.key, find_title(content, file.path), source=name))


def decode(raw: bytes) -> str:
    encoding = next((name for mark, name in BOMS if raw.startswith(mark)), "utf-8")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        kind = "UTF-16" if encoding == "utf-16" else "UTF-8"
        raise Unreadable(f"is not {kind}: byte {error.start} is 0x{raw[error.start]:02x}") from None


def find_title(content: str, path: Path) -> str | None:
    """The first heading, of Markdown or of reStructuredText; plain text has none."""
    suffix = path.suffix.lower()
    if suffix in (".md", ".markdown"):
        content = FENCE.sub("", content)  # comments of code are no headings
        found = HEADING.search(content) or UNDERLINED.search(content)
    else:
        found = UNDERLINED.search(content) if suffix == ".rst" else None
    return found.group(1).strip()[:LONGEST_TITLE] if found else None


def read_records(path: Path) -> Iterator[Item]:
    """One JSON object a line, as BEIR's `corpus.jsonl` has them."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if not text.strip():
                continue
            name = f"{path.as_posix()}:{number}"
            try:
                yield Item(name, len(line), to_document(text, path.name))
            except Unreadable as unreadable:
                yield Item(name, len(line), fault=str(unreadable))


def to_document(line: bytes, source: str) -> DocumentUpsert:
    """Fields that have no place in a document are metadata."""
    try:
        record = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(f"is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise Unreadable("is not a JSON object")
    key, content = take(record, KEY_NAMES), take(record, TEXT_NAMES)
    if not isinstance(key, str | int) or isinstance(key, bool) or key == "":
        raise Unreadable("has no _id, id or key")
    if not isinstance(content, str):
        raise Unreadable("has no text or content")
    title, url = take_text(record, "title"), take_text(record, "url")
    source = take_text(record, "source") or source
    return DocumentUpsert(content, str(key), title, source, url, take_metadata(record))


def take(record: dict[str, Any], names: Iterable[str]) -> Any:
    """The first of the fields that is there, out of the record."""
    name = next((name for name in names if name in record), None)
    return None if name is None else record.pop(name)


def take_text(record: dict[str, Any], name: str) -> str | None:
    return record.pop(name) or None if isinstance(record.get(name), str | None) and name in record else None


def take_metadata(record: dict[str, Any]) -> dict[str, Any]:
    nested = record.pop("metadata") if isinstance(record.get("metadata"), dict) else {}
    return nested | record
