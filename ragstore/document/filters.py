"""Filters on documents: JSON to a small typed tree to SQL. Keys and values travel as parameters, never as SQL text.

A bare key is metadata; `@key @source @created_at @document_id` are fields. Values compare only within their type
(numbers with numbers, strings with strings by code point). `$ne` and `$nin` match what lacks the key.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from ragstore.errors import FieldError, InvalidFilter

Operator = Literal["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$contains"]
ORDERED = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
OPERATORS = ("$eq", "$ne", *ORDERED, "$in", "$nin", "$exists", "$contains")
FIELDS: dict[str, type] = {"@key": str, "@source": str, "@created_at": datetime, "@document_id": UUID}
DEEPEST = 32
MOST_CONDITIONS = 1000
MOST_VALUES = 100_000


@dataclass(frozen=True)
class Condition:
    """One test of one key. For `$in` and `$nin` the value is a list."""

    key: str
    operator: Operator
    value: Any


@dataclass(frozen=True)
class Every:
    parts: tuple["Filter", ...]


@dataclass(frozen=True)
class Some:
    parts: tuple["Filter", ...]


@dataclass(frozen=True)
class Not:
    part: "Filter"


Filter = Condition | Every | Some | Not


def parse_filter(tree: object, path: str = "filter") -> Filter:
    """Raises InvalidFilter that names the JSON path of what is wrong."""
    refuse_large(tree, path)
    return parse_node(tree, path, 1)


def refuse_large(tree: object, path: str) -> None:
    """Counts what the parser would visit, before it does: objects and the filters in lists."""
    waiting, seen = [tree], 0
    while waiting:
        node = waiting.pop()
        inside = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
        branches = [one for one in inside if isinstance(one, dict | list)]
        seen += max(1, len(branches), len(inside) if isinstance(node, dict) else 0)
        if seen > MOST_CONDITIONS:
            raise wrong(path, f"must not have more than {MOST_CONDITIONS} conditions")
        waiting += branches


def parse_node(tree: object, path: str, depth: int) -> Filter:
    if not isinstance(tree, dict):
        raise wrong(path, "must be an object")
    if depth > DEEPEST:
        raise wrong(path, f"must not be nested deeper than {DEEPEST}")
    return join(tuple(parse_entry(key, value, f"{path}.{key}", depth) for key, value in tree.items()))


def parse_entry(key: str, value: object, path: str, depth: int) -> Filter:
    if key in ("$and", "$or"):
        if not isinstance(value, list) or not value:
            raise wrong(path, "must be a list of at least one filter")
        parts = tuple(parse_node(one, f"{path}[{index}]", depth + 1) for index, one in enumerate(value))
        return Every(parts) if key == "$and" else Some(parts)
    if key == "$not":
        return Not(parse_node(value, path, depth + 1))
    if key.startswith("$"):
        raise wrong(path, "is not an operator here; $and, $or and $not are, the others stand under a key")
    if key.startswith("@") and key not in FIELDS:
        raise wrong(path, f"is not a field; the fields are {', '.join(FIELDS)}")
    if "\x00" in key:
        raise wrong(path, "must not contain the NUL character (U+0000)")
    return parse_tests(key, value, path, depth)


def parse_tests(key: str, value: object, path: str, depth: int) -> Filter:
    """`{"year": 2020}` is short for `{"year": {"$eq": 2020}}`."""
    if depth > DEEPEST:
        raise wrong(path, f"must not be nested deeper than {DEEPEST}")
    if isinstance(value, list):
        raise wrong(path, "must be a single value; for one of several use $in")
    if not isinstance(value, dict):
        return Condition(key, "$eq", check_value(key, value, path))
    if not value:
        raise wrong(path, f"must have at least one operator of {', '.join(OPERATORS)}, $not")
    return join(tuple(parse_test(key, name, one, f"{path}.{name}", depth) for name, one in value.items()))


def parse_test(key: str, name: str, value: object, path: str, depth: int) -> Filter:
    if name == "$not":
        return Not(parse_tests(key, value, path, depth + 1))
    if name not in OPERATORS:
        raise wrong(path, f"is not an operator; the operators are {', '.join(OPERATORS)}, $not")
    return Condition(key, name, check_operand(key, name, value, path))  # type: ignore[arg-type]  # one of OPERATORS


def check_operand(key: str, operator: str, value: object, path: str) -> Any:
    if operator == "$exists":
        if not isinstance(value, bool):
            raise wrong(path, "must be true or false")
        return value
    if operator in ("$in", "$nin"):
        if not isinstance(value, list):
            raise wrong(path, "must be a list")
        if len(value) > MOST_VALUES:
            raise wrong(path, f"must not have more than {MOST_VALUES} values")
        return [check_value(key, one, f"{path}[{index}]") for index, one in enumerate(value)]
    refuse_senseless(key, operator, value, path)
    return check_value(key, value, path)


def refuse_senseless(key: str, operator: str, value: object, path: str) -> None:
    if operator in ORDERED and (isinstance(value, bool) or not isinstance(value, str | int | float)):
        raise wrong(path, "must be a number or a string: other values have no order")
    if operator in ORDERED and key == "@document_id":
        raise wrong(path, "cannot be asked of @document_id: ids have no order")
    if operator == "$contains" and (FIELDS.get(key, str) is not str or (key in FIELDS and value is None)):
        raise wrong(path, f"cannot be asked of {key}")


def check_value(key: str, value: object, path: str) -> Any:
    """A JSON scalar for metadata, the field's own type for a field."""
    kind = FIELDS.get(key)
    if kind is None or value is None:
        return check_json(value, path)
    if not isinstance(value, str) or "\x00" in value:
        raise wrong(path, f"must be a string without NUL, as {key} is compared with strings")
    try:
        if kind is datetime:
            moment = datetime.fromisoformat(value)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        return kind(value)
    except (ValueError, OverflowError):
        shape = "an ISO 8601 date or time" if kind is datetime else "a UUID"
        raise wrong(path, f"must be {shape}") from None


def check_json(value: object, path: str) -> Any:
    if isinstance(value, str) and "\x00" in value:
        raise wrong(path, "must not contain the NUL character (U+0000)")
    if isinstance(value, int) and abs(value) >= 10**100:
        raise wrong(path, "must not have more than 100 digits")
    if value is not None and not isinstance(value, str | int | float | bool):
        raise wrong(path, "must be a string, a number, true, false or null")
    return value


def join(parts: tuple[Filter, ...]) -> Filter:
    return parts[0] if len(parts) == 1 else Every(parts)


def wrong(path: str, message: str) -> InvalidFilter:
    return InvalidFilter(f"{path} {message}.", errors=(FieldError(path, message),))
