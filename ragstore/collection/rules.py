"""What a collection may be, and what a change makes of it. Pure."""

import re
from typing import Any

from msgspec import UNSET, structs

from ragstore.collection.schemas import NAME_PATTERN, Chunking, ChunkingUpdate, CollectionUpdate
from ragstore.errors import FieldError, Unprocessable
from ragstore.fields import check_metadata, check_text

NAME = re.compile(NAME_PATTERN)


def choose_chunking(wanted: ChunkingUpdate) -> Chunking:
    size = Chunking().size if wanted.size is UNSET else wanted.size
    return change_chunking(Chunking(size, min(Chunking().overlap, size // 8)), wanted)


def change_chunking(stored: Chunking, wanted: ChunkingUpdate) -> Chunking:
    """A size that the stored overlap does not fit into brings an overlap of its own: an eighth."""
    if wanted.size is not UNSET and wanted.overlap is UNSET and stored.overlap >= wanted.size:
        stored = structs.replace(stored, overlap=wanted.size // 8)
    given = {name: value for name, value in structs.asdict(wanted).items() if value is not UNSET}
    return structs.replace(stored, **given)


def check_name(name: str) -> list[FieldError]:
    """msgspec's pattern lets a newline at the end pass."""
    return [] if NAME.fullmatch(name) else [FieldError("name", "must be letters, digits, `.`, `_` and `-` only")]


def check_chunking(chunking: Chunking) -> list[FieldError]:
    if chunking.overlap < chunking.size:
        return []
    return [FieldError("chunking.overlap", f"must be less than chunking.size, {chunking.size}")]


def list_faults(wanted: CollectionUpdate, stored: Chunking) -> list[FieldError]:
    faults: list[FieldError] = []
    if wanted.name is not UNSET:
        faults += check_name(wanted.name)
    if wanted.title is not UNSET:
        faults += check_text("title", wanted.title)
    if wanted.chunking is not UNSET:
        faults += check_chunking(change_chunking(stored, wanted.chunking))
    if wanted.metadata is not UNSET:
        faults += check_metadata("metadata", wanted.metadata)
    return faults


def list_changes(wanted: CollectionUpdate, stored: Chunking) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if wanted.name is not UNSET:
        changes["name"] = wanted.name
    if wanted.title is not UNSET:
        changes["title"] = wanted.title
    if wanted.metadata is not UNSET:
        changes["meta"] = wanted.metadata
    if wanted.chunking is not UNSET:
        chunking = change_chunking(stored, wanted.chunking)
        changes |= {f"chunk_{name}": value for name, value in structs.asdict(chunking).items()}
    return changes


def refuse(faults: list[FieldError]) -> None:
    if faults:
        raise Unprocessable("The collection is not valid.", errors=tuple(faults))
