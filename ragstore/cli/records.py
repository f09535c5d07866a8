"""Documents written as JSON, one a line, as BEIR's `corpus.jsonl` has them."""

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ragstore.cli.items import Item, Unreadable
from ragstore.ingestion.schemas import DocumentUpsert

KEY_NAMES, TEXT_NAMES = ("_id", "id", "key"), ("text", "content")
LONGEST_FIRST_LINE = 1_000_000  # bytes that are looked at to tell records from text


def is_record_line(line: bytes) -> bool:
    """Whether a text that begins with this line is one of records."""
    line = line.removeprefix(codecs.BOM_UTF8).strip()
    if not line.startswith(b"{"):
        return False
    try:
        to_document(line, "")
    except Unreadable:
        return False
    return True


def read_records(path: Path) -> Iterator[Item]:
    with path.open("rb") as file:
        yield from read_lines(file, path.as_posix(), path.name)


def read_lines(lines: Iterable[bytes], name: str, source: str) -> Iterator[Item]:
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if text.strip():
            yield read_line(f"{name}:{number}", text, source, len(line))


def read_line(name: str, line: bytes, source: str, size: int) -> Item:
    try:
        return Item(name, size, to_document(line, source))
    except Unreadable as unreadable:
        return Item(name, size, fault=str(unreadable))


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
