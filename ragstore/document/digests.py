"""Digests that decide what an upsert has to do. Pure; a change here re-embeds everything that is posted again."""

import hashlib
from typing import Any

import msgspec

from ragstore.collection.schemas import Chunking


def digest_content(content: str, title: str | None, chunking: Chunking) -> bytes:
    """What the passages and vectors of a document depend on."""
    return digest([content, title, chunking.size, chunking.overlap])


def digest_record(source: str | None, url: str | None, metadata: dict[str, Any]) -> bytes:
    """What else a document says; the order of metadata keys does not matter."""
    return digest([source, url, metadata])


def digest(parts: list[Any]) -> bytes:
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).digest()
