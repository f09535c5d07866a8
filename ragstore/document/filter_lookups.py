"""Which indexes narrow a filter down: from a filter tree to lookups, each of which finds at least what matches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ragstore.document.entries import (
    DIGEST_BYTES,
    SOURCE,
    EntryRange,
    encode_entry,
    is_exact,
    range_of_key,
    range_of_order,
)
from ragstore.document.filters import FIELDS, ORDERED, Condition, Every, Filter, Some

INDEXED_FIELDS = tuple(key for key in FIELDS if key != SOURCE)  # columns with an index of `document`
MOST_RANGES = 32  # in one lookup: each is a part of a UNION to plan


@dataclass(frozen=True)
class Lookup:
    """A document that matches has one of these entries, or meets one of these conditions on an indexed column.

    `looseness`, for choosing among lookups: 0 single values, 1 between two bounds, 2 beyond one bound, 3 any value.
    `exact`: a document that has matches.
    """

    entries: tuple[bytes, ...] = ()
    ranges: tuple[EntryRange, ...] = ()
    fields: tuple[Condition, ...] = ()
    looseness: int = 0
    exact: bool = False

    @property
    def repeats(self) -> bool:
        """Whether one document may be found twice."""
        keys = {one[:DIGEST_BYTES] for one in self.entries}
        return len(keys) + len(self.ranges) + len(self.fields) > 1


@dataclass(frozen=True)
class Served:
    """`lookups`, the tightest first: every one of them holds for what matches. `exact`: together they find what
    matches and nothing else.
    """

    lookups: list[Lookup]
    exact: bool


def serve(node: Filter) -> Served:
    """Each part of the filter is looked at once."""
    orders: dict[tuple[str, bool], Lookup] = {}
    found: list[Lookup | None] = []
    for part in list_conjuncts(node):
        if isinstance(part, Condition) and is_entry_order(part):
            place = part.key, isinstance(part.value, str)
            orders[place] = narrow(orders.get(place), part)
        else:
            found.append(find_lookup(part))
    known = [*(one for one in found if one is not None), *orders.values()]
    exact = bool(known) and None not in found and all(one.exact for one in known)
    return Served(sorted(known, key=lambda one: one.looseness), exact)


def answer_exactly(node: Filter) -> list[Lookup] | None:
    """Lookups that together find what matches and nothing else; None when the documents must be read."""
    served = serve(node)
    return served.lookups if served.exact else None


def find_lookups(node: Filter) -> list[Lookup]:
    """None for what only the document can answer."""
    return serve(node).lookups


def is_entry_order(node: Filter) -> bool:
    return isinstance(node, Condition) and node.operator in ORDERED and node.key not in INDEXED_FIELDS


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
            branches = [serve(part) for part in parts]
            united = unite([next(iter(one.lookups), None) for one in branches])
            alone = all(one.exact and len(one.lookups) == 1 for one in branches)
            return united and replace(united, exact=alone)
        case _:
            return None


def look_up_field(condition: Condition) -> Lookup | None:
    """@created_at and @document_id are never null, so `$exists` and null narrow nothing down."""
    served = condition.operator in ("$eq", "$in", *ORDERED) and condition.value is not None
    looseness = 2 if condition.operator in ORDERED else 0
    return Lookup(fields=(condition,), looseness=looseness, exact=True) if served else None


def look_up_entry(condition: Condition) -> Lookup | None:
    key, value = condition.key, condition.value
    if condition.operator == "$exists" and value:
        return Lookup(ranges=(range_of_key(key),), looseness=3, exact=True)
    if condition.operator == "$in":
        entries = tuple(sorted({encode_entry(key, one) for one in value}))
        return Lookup(entries=entries, exact=all(map(is_exact, value)))
    if condition.operator == "$eq" and not (key == SOURCE and value is None):
        return Lookup(entries=(encode_entry(key, value),), exact=is_exact(value))
    if condition.operator in ORDERED:
        return narrow(None, condition)
    return None


def narrow(known: Lookup | None, condition: Condition) -> Lookup:
    """Of values that one key must have all at once."""
    one = range_of_order(condition.key, condition.operator, condition.value)  # type: ignore[arg-type]  # an ordered one
    exact = is_exact(condition.value)
    if known is None:
        return Lookup(ranges=(one,), looseness=2, exact=exact)
    both = one.narrow(known.ranges[0])
    looseness = 1 if both not in (one, known.ranges[0]) else known.looseness
    return Lookup(ranges=(both,), looseness=looseness, exact=exact and known.exact)


def unite(branches: Sequence[Lookup | None]) -> Lookup | None:
    """One lookup for all branches of an `$or`, where each has one."""
    known = [one for one in branches if one is not None]
    ranges = tuple(dict.fromkeys(part for one in known for part in one.ranges))
    fields = tuple(part for one in known for part in one.fields)
    if len(known) < len(branches) or len(ranges) + len(fields) > MOST_RANGES:
        return None
    entries = tuple(sorted({part for one in known for part in one.entries}))
    return Lookup(entries, ranges, fields, max(one.looseness for one in known))
