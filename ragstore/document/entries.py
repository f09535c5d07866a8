"""Metadata as short byte strings that a B-tree finds: one entry per top-level scalar of a document, and its source.

An entry is 8 bytes of the key's digest, a byte for the kind, and the value, so that bytes sort as values do. It says
less than the value (numbers become float64, long strings are cut), so whoever searches by entries finds at least what
matches and tests the documents afterwards, but for values that `is_exact` tells. A change here needs a migration that
fills `metadata_entry` anew.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SOURCE = "@source"
NULL, BOOLEAN, NUMBER, STRING, NESTED = range(1, 6)
LONGEST_STRING = 64  # bytes that are kept of a string; a longer one has a digest behind them
DIGEST_BYTES = 8
MOST_EXACT = 2**53  # below, no two numbers have the same float64
SIGN = 1 << 63


@dataclass(frozen=True)
class EntryRange:
    """Entries from `low`, inclusive, to `high`, exclusive."""

    low: bytes
    high: bytes

    def narrow(self, other: "EntryRange") -> "EntryRange":
        return EntryRange(max(self.low, other.low), min(self.high, other.high))


def list_entries(source: str | None, metadata: Mapping[str, Any]) -> list[bytes]:
    """What stands for a document, sorted. Keys that begin with `@` or `$` cannot be asked for and have no entry."""
    found = {encode_entry(key, value) for key, value in metadata.items() if not key.startswith(("@", "$"))}
    if source is not None:
        found.add(encode_entry(SOURCE, source))
    return sorted(found)


def encode_entry(key: str, value: object) -> bytes:
    """Equal values have equal entries. Of lists and objects only that they are there is kept."""
    match value:
        case None:
            return start(key, NULL)
        case bool():
            return start(key, BOOLEAN) + bytes([value])
        case int() | float():
            return start(key, NUMBER) + encode_number(value)
        case str():
            return start(key, STRING) + encode_string(value)
        case _:
            return start(key, NESTED)


def range_of_key(key: str) -> EntryRange:
    """Any value."""
    return EntryRange(digest_key(key), digest_key(key) + b"\xff")


def is_exact(value: object) -> bool:
    """Whether nothing else has the entry that this value has: it need not be tested again."""
    if isinstance(value, str):
        return len(encode(value)) <= LONGEST_STRING
    return value is None or (isinstance(value, bool | int | float) and abs(value) < MOST_EXACT)


def range_of_order(key: str, operator: Literal["$gt", "$gte", "$lt", "$lte"], value: str | float) -> EntryRange:
    """Values of the same kind on that side of an exact `value`; of any other, itself and what is as good as it too."""
    kind = STRING if isinstance(value, str) else NUMBER
    first, end = start(key, kind), start(key, kind + 1)
    if not is_exact(value):
        return range_around(first, end, operator, value)
    place = encode_entry(key, value)
    after = place + b"\x00"  # nothing is between the two
    match operator:
        case "$gt":
            return EntryRange(after, end)
        case "$gte":
            return EntryRange(place, end)
        case "$lt":
            return EntryRange(first, place)
        case _:
            return EntryRange(first, after)


def range_around(first: bytes, end: bytes, operator: str, value: str | float) -> EntryRange:
    if operator in ("$gt", "$gte"):
        return EntryRange(first + (cut(value) if isinstance(value, str) else encode_number(value)), end)
    if isinstance(value, str):
        kept = first + cut(value)
        return EntryRange(first, kept[:-1] + bytes([kept[-1] + 1]))  # all that begin so; UTF-8 has no byte 255
    return EntryRange(first, first + encode_number(value) + b"\x00")


def start(key: str, kind: int) -> bytes:
    return digest_key(key) + bytes([kind])


def digest_key(key: str) -> bytes:
    return hashlib.sha256(encode(key)).digest()[:DIGEST_BYTES]


def encode_number(value: float) -> bytes:
    """The nearest float64 (infinity for what is beyond it), big-endian, negative ones turned round."""
    try:
        number = float(value) + 0.0  # -0.0 becomes 0.0
    except OverflowError:
        number = float("inf") if value > 0 else float("-inf")
    bits: int = struct.unpack(">Q", struct.pack(">d", number))[0]
    return struct.pack(">Q", bits ^ (2 * SIGN - 1) if bits & SIGN else bits | SIGN)


def encode_string(value: str) -> bytes:
    whole = encode(value)
    return whole if len(whole) <= LONGEST_STRING else cut(value) + hashlib.sha256(whole).digest()[:DIGEST_BYTES]


def cut(value: str) -> bytes:
    return encode(value)[:LONGEST_STRING]


def encode(text: str) -> bytes:
    """UTF-8 sorts as code points do."""
    return text.encode("utf-8", "surrogatepass")
