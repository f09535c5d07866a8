"""What is sent: named parts that are files, and fields about them. Pure, but for reading what lies on the disk."""

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from ragstore.collection.schemas import Chunking, ChunkingUpdate
from ragstore.errors import FieldError, InvalidDocument, InvalidRequest
from ragstore.fields import check_key, check_metadata, check_text, read_fault
from ragstore.ingestion.files.schemas import FileFields

MOST_FILES = 100  # of one request
LONGEST_NAME = 255  # characters
NAMELESS = "file"
PIECE = 256 * 1024
READING = 1  # grows when the same file is read differently: then it is read again
TEXT_FIELDS = ("key", "title", "source", "url")
JSON_FIELDS: Mapping[str, Any] = {"metadata": dict[str, Any], "chunking": ChunkingUpdate}


class Content(Protocol):
    """As the framework has it; it may lie on the disk."""

    async def read(self, size: int = -1) -> bytes: ...
    async def seek(self, offset: int) -> int: ...


@dataclass(frozen=True)
class Upload:
    key: str
    name: str
    content: Content
    digest: bytes


async def digest_content(content: Content) -> bytes:
    digest = hashlib.sha256()
    while piece := await content.read(PIECE):
        digest.update(piece)
    await content.seek(0)
    return digest.digest()


def clean_name(given: str) -> str:
    """A label and nothing else: without folders, in whoever's notation, without what cannot be seen, and not long."""
    last = given.replace("\\", "/").rsplit("/", 1)[-1]
    seen = "".join(one for one in last if unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    name = " ".join(unicodedata.normalize("NFC", seen).split())
    if name.strip(". ") == "":
        return NAMELESS
    stem, dot, suffix = name.rpartition(".")
    if len(name) <= LONGEST_NAME or not dot or len(suffix) > 16:
        return name[:LONGEST_NAME]
    return f"{stem[: LONGEST_NAME - len(suffix) - 1]}.{suffix}"


def read_fields(given: Sequence[tuple[str, object]]) -> FileFields:
    """Raises InvalidRequest for a field that is none, comes twice or is no JSON, InvalidDocument for a bad value."""
    faults: list[FieldError] = []
    values: dict[str, Any] = {}
    for name, value in given:
        try:
            if name in values:
                raise ValueError("must not come twice")
            values[name] = read_value(name, value)
        except msgspec.MsgspecError as error:
            faults.append(read_fault(str(error), name, kind=JSON_FIELDS[name]))
        except (ValueError, RecursionError) as error:
            faults.append(FieldError(name, str(error)))
    if faults:
        raise InvalidRequest(f"{faults[0].path} {faults[0].message}.", errors=tuple(faults))
    fields = FileFields(**values)
    if wrong := list(list_faults(fields)):
        raise InvalidDocument(f"{wrong[0].path} {wrong[0].message}.", errors=tuple(wrong))
    return fields


def read_value(name: str, value: object) -> object:
    if name not in TEXT_FIELDS and name not in JSON_FIELDS:
        raise ValueError("is not a field here")
    if not isinstance(value, str):
        raise ValueError("must be a text, not a file")
    return msgspec.json.decode(value, type=JSON_FIELDS[name]) if name in JSON_FIELDS else value


def list_faults(fields: FileFields) -> Iterator[FieldError]:
    yield from check_key("key", fields.key)
    yield from check_text("title", fields.title)
    yield from check_text("source", fields.source)
    yield from check_text("url", fields.url)
    yield from check_metadata("metadata", fields.metadata)


def digest_request(fields: FileFields, chunking: Chunking) -> bytes:
    """What a file becomes depends on these, beside its bytes."""
    told = [READING, fields.title, fields.source, fields.url, fields.metadata, msgspec.structs.astuple(chunking)]
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).digest()
