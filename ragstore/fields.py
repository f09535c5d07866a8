"""Checks that types cannot express, shared by everything that stores a caller's text or metadata."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ragstore.errors import FieldError, Unprocessable
from ragstore.shapes import is_unchangeable, list_choices

LONGEST_KEY = 1024  # bytes; Postgres' B-tree holds 2,704 in an entry
LONGEST_LABEL = 4096  # bytes of a title, source, url or model name
LARGEST_METADATA = 64 * 1024  # bytes as JSON, counted roughly
MOST_METADATA_KEYS = 256
DEEPEST_METADATA = 32

# msgspec says where: "Expected `str`, got `int` - at `$.documents[0].content`"
WHERE = re.compile(r"^(?P<message>.*?)(?: - at `(?:key in )?\$\.?(?P<path>.*)`)?$", re.DOTALL)
UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
WRONG_CHOICE = re.compile(r"Invalid enum value (?P<value>.*)", re.DOTALL)
MISSING_FIELD = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)


def check_text(path: str, text: str | None, *, longest: int = LONGEST_LABEL) -> Iterator[FieldError]:
    """What Postgres' `text` cannot hold (NUL) and what is longer than `longest` bytes."""
    if text is None:
        return
    if "\x00" in text:
        yield FieldError(path, "must not contain the NUL character (U+0000)")
    if (size := len(text.encode("utf-8", "surrogatepass"))) > longest:
        yield FieldError(path, f"must not be longer than {longest} bytes, is {size}")


def refuse(faults: Sequence[FieldError]) -> None:
    """Raises Unprocessable for the faults that were found, if any."""
    if faults:
        raise Unprocessable(f"{faults[0].path} {faults[0].message}.", errors=tuple(faults))


def check_key(path: str, key: str | None) -> Iterator[FieldError]:
    if key == "":
        yield FieldError(path, "must not be empty")
    yield from check_text(path, key, longest=LONGEST_KEY)


def check_metadata(path: str, metadata: Mapping[str, Any] | None) -> Iterator[FieldError]:
    """NUL anywhere, more than 256 keys or 64 KiB, nesting deeper than 32; walked without recursion."""
    size = keys = 0
    waiting: list[tuple[str, Any, int]] = [(path, metadata, 1)]
    while waiting:
        where, value, depth = waiting.pop()
        if depth > DEEPEST_METADATA:
            yield FieldError(where, f"must not be nested deeper than {DEEPEST_METADATA}")
            return
        yield from check_scalar(where, value)
        if size > LARGEST_METADATA:
            break
        inside = list(list_inside(where, value))
        waiting.extend((at, one, depth + 1) for at, one in inside)
        size += len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 1
        if isinstance(value, Mapping):
            keys += len(value)
            size += sum(len(key.encode("utf-8", "surrogatepass")) for key in value)
    if keys > MOST_METADATA_KEYS:
        yield FieldError(path, f"must not have more than {MOST_METADATA_KEYS} keys, has {keys}")
    if size > LARGEST_METADATA:
        yield FieldError(path, f"must not be larger than {LARGEST_METADATA} bytes")


def check_scalar(path: str, value: object) -> Iterator[FieldError]:
    if isinstance(value, str):
        yield from check_text(path, value, longest=LARGEST_METADATA)
    elif isinstance(value, Mapping):
        for key in value:
            yield from check_text(f"{path}.{key}", key, longest=LONGEST_KEY)
    elif isinstance(value, int) and abs(value) >= 10**100:
        yield FieldError(path, "must not have more than 100 digits")


def list_inside(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        yield from ((f"{path}.{key}", one) for key, one in value.items())
    elif isinstance(value, list):
        yield from ((f"{path}[{index}]", one) for index, one in enumerate(value))


def read_fault(text: str, within: str = "", *, key: str = "", kind: Any = Any) -> FieldError:
    """msgspec's sentence to the path of the field itself and what is wrong with it.

    `within` is where the value that was read stands; `key` is the path when the sentence has none. `kind` is the type
    that was read: it knows the valid values.
    """
    found = WHERE.match(text)
    message = found["message"] if found else text
    path = (found["path"] if found else None) or key
    inside = path
    path = "" if path == "data" else path.removeprefix("data.")  # what handlers call the body
    path = f"{within}.{path}".strip(".")
    if unknown := UNKNOWN_FIELD.fullmatch(message):
        fixed = is_unchangeable(kind, inside, unknown["name"])
        return FieldError(
            f"{path}.{unknown['name']}".lstrip("."), "cannot be changed" if fixed else "is not a field here"
        )
    if missing := MISSING_FIELD.fullmatch(message):
        return FieldError(f"{path}.{missing['name']}".lstrip("."), "is missing")
    if (wrong := WRONG_CHOICE.fullmatch(message)) and (choices := list_choices(kind, inside)):
        return FieldError(path, f"{wrong['value'][:100]} is not one of: {', '.join(choices)}")
    return FieldError(path, message[:1000])
