"""A filter as plain Python reads it, document by document: what the compiler has to agree with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from ragstore.document.filters import FIELDS, Condition, Every, Filter, Not, Some

MISSING = object()


@dataclass(frozen=True)
class Stored:
    id: UUID
    key: str
    source: str | None
    created_at: datetime
    metadata: Mapping[str, Any]

    def find(self, key: str) -> object:
        if key in FIELDS:
            value = {"@document_id": "id"}.get(key, key.removeprefix("@"))
            return MISSING if getattr(self, value) is None else getattr(self, value)
        return self.metadata.get(key, MISSING)


def matches(node: Filter, document: Stored) -> bool:
    match node:
        case Every(parts):
            return all(matches(part, document) for part in parts)
        case Some(parts):
            return any(matches(part, document) for part in parts)
        case Not(part):
            return not matches(part, document)
        case Condition(key, operator, value):
            stored = document.find(key)
            if key in FIELDS and value is None and operator in ("$eq", "$ne"):
                return (stored is MISSING) is (operator == "$eq")
            return holds(operator, stored, value)


def holds(operator: str, stored: object, value: Any) -> bool:
    if operator in ("$ne", "$nin"):
        return not holds("$eq" if operator == "$ne" else "$in", stored, value)
    if operator == "$exists":
        return (stored is not MISSING) is bool(value)
    if operator == "$in":
        return any(same(stored, one) for one in value)
    if operator == "$eq":
        return same(stored, value)
    if operator == "$contains":
        if isinstance(stored, list):
            return any(same(one, value) for one in stored)
        return isinstance(stored, str) and isinstance(value, str) and value in stored
    return compare(operator, stored, value)


def same(stored: object, value: object) -> bool:
    if isinstance(stored, bool) or isinstance(value, bool):
        return stored is value
    if is_number(stored) and is_number(value):
        return to_decimal(stored) == to_decimal(value)
    return type(stored) is type(value) and stored == value


def compare(operator: str, stored: object, value: Any) -> bool:
    left: Any = stored
    right: Any = value
    if isinstance(stored, str) and isinstance(value, str):
        left, right = stored.encode(), value.encode()
    elif is_number(stored) and is_number(value):
        left, right = to_decimal(stored), to_decimal(value)
    elif not (isinstance(stored, datetime) and isinstance(value, datetime)):
        return False
    return bool({"$gt": left > right, "$gte": left >= right, "$lt": left < right, "$lte": left <= right}[operator])


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def to_decimal(value: Any) -> Decimal:
    """As JSON writes it: 1e30 is 10**30 there, and not the nearest binary number."""
    return Decimal(repr(value))
