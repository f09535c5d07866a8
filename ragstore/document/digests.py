"""Digests that decide what an upsert has to do. Pure; a change here re-embeds everything that is posted again."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.schemas import Chunking


def digest_content(
    content: str,
    title: str | None,
    chunking: Chunking,
    *,
    outline: Sequence[Any] | None = None,
    ready: Sequence[Any] | None = None,
    vectors: Mapping[int, NDArray[np.float32]] | None = None,
) -> bytes:
    """What the passages and vectors of a document depend on: the rule it is cut by and the `outline` that it came with,
    or the places and metadata of its `ready` passages and their `vectors`.
    """
    if ready is not None:
        return digest([content, title, "ready", chunking.prefix, to_stored(ready)], vectors)
    rule: list[Any] = [chunking.size, chunking.overlap]
    if (chunking.strategy, chunking.prefix) != ("tokens", "title"):  # as before there was a choice
        rule += [chunking.strategy, chunking.prefix]
    if outline is not None:
        rule.append(list(outline))
    return digest([content, title, *rule])


def digest_record(source: str | None, url: str | None, metadata: dict[str, Any], *, from_file: bool = False) -> bytes:
    """What else a document says; the order of metadata keys does not matter."""
    return digest([source, url, to_stored(metadata), *(["file"] if from_file else [])])


def digest_passage(text: str, vector: NDArray[np.float32] | None = None) -> bytes:
    """Of the text that is embedded, and the vector that came with it: passages with the same have the same vector."""
    found = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    if vector is not None:
        found.update(b"\0" + vector.tobytes())  # no text has this character
    return found.digest()


def to_stored(value: Any) -> Any:
    """Numbers as JSONB gives them back: 1e22 and 2.0 are integers there."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: to_stored(one) for key, one in value.items()}
    if isinstance(value, list):
        return [to_stored(one) for one in value]
    return value


def digest(parts: list[Any], vectors: Mapping[int, NDArray[np.float32]] | None = None) -> bytes:
    found = hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode())
    for place, vector in (vectors or {}).items():
        found.update(f"{place},{len(vector)};".encode() + vector.tobytes())
    return found.digest()
