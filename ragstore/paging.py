"""Opaque cursors: where a list goes on. They hold sort values only; the tenant is never taken from one."""

import base64
import binascii
from typing import Any, Generic, TypeVar

import msgspec

from ragstore.errors import InvalidCursor

Item = TypeVar("Item")

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 1000


class Page(msgspec.Struct, Generic[Item]):
    """One page of a list; `next_cursor` is null on the last."""

    items: list[Item]
    next_cursor: str | None = None


def encode_cursor(position: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode_cursor(cursor: str, kind: Any) -> Any:
    """The position, of type `kind`, that a cursor names. Raises InvalidCursor for what `encode_cursor` did not make."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=kind)
    except (binascii.Error, msgspec.MsgspecError, UnicodeError, ValueError):
        raise InvalidCursor("The cursor is not one this list gave out.") from None
