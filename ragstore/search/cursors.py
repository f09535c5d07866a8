"""A page of a ranking that was made once: the cursor carries the passages that are still to come, so what is stored
meanwhile neither repeats nor hides one. Pure.
"""

import base64
import binascii
import hashlib
import uuid
from collections.abc import Sequence

import msgspec
import numpy as np

from ragstore.errors import FieldError, InvalidCursor
from ragstore.search.ranking import Ranked
from ragstore.search.schemas import SearchRequest

RECORD = np.dtype(
    [("chunk", "V16"), ("place", "<u2"), ("first", "?"), ("score", "<f8"), ("vector", "<f4"), ("text", "<f4")]
)
DIGEST_BYTES = 8


def write_cursor(rest: Sequence[Ranked], wanted: SearchRequest, names: Sequence[str]) -> str:
    """With a digest of the request and of what is to come: a part of a cursor is none."""
    records = np.array(
        [
            (
                one.chunk_id.bytes,
                one.place,
                one.first,
                one.score,
                to_number(one.vector_score),
                to_number(one.text_score),
            )
            for one in rest
        ],
        dtype=RECORD,
    ).tobytes()
    return base64.urlsafe_b64encode(digest(wanted, names, records) + records).decode()


def read_cursor(cursor: str, wanted: SearchRequest, names: Sequence[str], most: int) -> list[Ranked]:
    """Raises InvalidCursor for one that was not made for this request."""
    try:
        raw = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
        records = np.frombuffer(raw, RECORD, offset=DIGEST_BYTES)
    except (binascii.Error, ValueError):
        raise refusal("is not one that a search answered") from None
    if raw[:DIGEST_BYTES] != digest(wanted, names, raw[DIGEST_BYTES:]):
        raise refusal("belongs to another request, or is not whole: send the same request with it")
    if len(records) > most or (len(records) and int(records["place"].max()) >= len(names)):
        raise refusal("is not one that a search answered")
    if not np.isfinite(records["score"]).all():
        raise refusal("is not one that a search answered")
    return [
        Ranked(
            uuid.UUID(bytes=bytes(one["chunk"])),
            None,
            int(one["place"]),
            float(one["score"]),
            to_score(one["vector"]),
            to_score(one["text"]),
            first=bool(one["first"]),
        )
        for one in records
    ]


def digest(wanted: SearchRequest, names: Sequence[str], records: bytes) -> bytes:
    """Of what the ranking depends on, and what is left of it."""
    given = msgspec.structs.asdict(wanted)
    for name in ("cursor", "paging", "top_k", "highlight", "include", "neighbors", "explain"):
        given.pop(name)
    return hashlib.blake2b(msgspec.json.encode([given, list(names)]) + records, digest_size=DIGEST_BYTES).digest()


def to_number(score: float | None) -> float:
    return float("nan") if score is None else score


def to_score(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


def refusal(message: str) -> InvalidCursor:
    return InvalidCursor(f"cursor {message}.", errors=(FieldError("cursor", message),))
