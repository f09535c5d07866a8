"""Digests that decide what an upsert has to do. Pure; a change here re-embeds everything that is posted again."""

import hashlib
import json
from typing import Any

from ragstore.collection.schemas import Chunking


def digest_content(content: str, title: str | None, chunking: Chunking) -> bytes:
    """What the passages and vectors of a document depend on."""
    rule: list[int | str] = [chunking.size, chunking.overlap]
    if (chunking.strategy, chunking.prefix) != ("tokens", "title"):  # as before there was a choice
        rule += [chunking.strategy, chunking.prefix]
    return digest([content, title, *rule])


def digest_record(source: str | None, url: str | None, metadata: dict[str, Any]) -> bytes:
    """What else a document says; the order of metadata keys does not matter."""
    return digest([source, url, to_stored(metadata)])


def to_stored(value: Any) -> Any:
    """Numbers as JSONB gives them back: 1e22 and 2.0 are integers there."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: to_stored(one) for key, one in value.items()}
    if isinstance(value, list):
        return [to_stored(one) for one in value]
    return value


def digest(parts: list[Any]) -> bytes:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).digest()
