"""Which indexes narrow a filter down: from a filter tree to lookups, each of which finds at least what matches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragstore.document.entries import SOURCE, EntryRange, encode_entry, range_of_key, range_of_order
from ragstore.document.filters import FIELDS, ORDERED, Condition, Every, Filter, Some

INDEXED_FIELDS = tuple(key for key in FIELDS if key != SOURCE)  # columns with an index of `document`
MOST_RANGES = 32  # in one lookup: each is a part of a UNION to plan


@dataclass(frozen=True)
class Lookup:
    """A document that matches has one of these entries, or meets one of these conditions on an indexed column.

    `looseness`, for choosing among lookups: 0 single values, 1 between two bounds, 2 beyond one bound, 3 any value.
    """

    entries: tuple[bytes, ...] = ()
    ranges: tuple[EntryRange, ...] = ()
    fields: tuple[Condition, ...] = ()
    looseness: int = 0


def find_lookups(node: Filter) -> list[Lookup]:
    """Every one of them holds for what matches; the tightest come first. None for what only the document can answer."""
    orders: dict[tuple[str, bool], Lookup] = {}
    found: list[Lookup] = []
    for part in list_conjuncts(node):
        if isinstance(part, Condition) and part.operator in ORDERED and part.key not in INDEXED_FIELDS:
            place = part.key, isinstance(part.value, str)
            orders[place] = narrow(orders.get(place), part)
        elif (one := find_lookup(part)) is not None:
            found.append(one)
    return sorted([*found, *orders.values()], key=lambda one: one.looseness)


def list_conjuncts(node: Filter) -> Iterator[Filter]:
    if isinstance(node, Every):
        for part in node.parts:
            yield from list_conjuncts(part)
    else:
        yield node


def find_lookup(node: Filter) -> Lookup | None:
    match node:
        case Condition(key):
            return look_up_field(node) if key in INDEXED_FIELDS else look_up_entry(node)
        case Some(parts):
            return unite([next(iter(find_lookups(part)), None) for part in parts])
        case _:
            return None


def look_up_field(condition: Condition) -> Lookup | None:
    """@created_at and @document_id are never null, so `$exists` and null narrow nothing down."""
    served = condition.operator in ("$eq", "$in", *ORDERED) and condition.value is not None
    looseness = 2 if condition.operator in ORDERED else 0
    return Lookup(fields=(condition,), looseness=looseness) if served else None


def look_up_entry(condition: Condition) -> Lookup | None:
    key, value = condition.key, condition.value
    if condition.operator == "$exists" and value:
        return Lookup(ranges=(range_of_key(key),), looseness=3)
    if condition.operator == "$in":
        return Lookup(entries=tuple(sorted({encode_entry(key, one) for one in value})))
    if condition.operator == "$eq" and not (key == SOURCE and value is None):
        return Lookup(entries=(encode_entry(key, value),))
    if condition.operator in ORDERED:
        return narrow(None, condition)
    return None


def narrow(known: Lookup | None, condition: Condition) -> Lookup:
    """Of values that one key must have all at once."""
    one = range_of_order(condition.key, condition.operator, condition.value)  # type: ignore[arg-type]  # an ordered one
    if known is None:
        return Lookup(ranges=(one,), looseness=2)
    both = one.narrow(known.ranges[0])
    return Lookup(ranges=(both,), looseness=1 if both not in (one, known.ranges[0]) else known.looseness)


def unite(branches: Sequence[Lookup | None]) -> Lookup | None:
    """One lookup for all branches of an `$or`, where each has one."""
    known = [one for one in branches if one is not None]
    ranges = tuple(dict.fromkeys(part for one in known for part in one.ranges))
    fields = tuple(part for one in known for part in one.fields)
    if len(known) < len(branches) or len(ranges) + len(fields) > MOST_RANGES:
        return None
    entries = tuple(sorted({part for one in known for part in one.entries}))
    return Lookup(entries, ranges, fields, max(one.looseness for one in known))
