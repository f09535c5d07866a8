"""The compiler against a plain Python reading of the same filter, on trees and metadata nobody thought of."""

import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ragstore.database import Database
from ragstore.document.filter_sql import compile_filter
from ragstore.document.filters import ORDERED, Condition, Every, Filter, Not, Some, parse_filter
from ragstore.errors import InvalidFilter

MISSING = object()
KEYS = st.sampled_from(["a", "b", "c.d", "$eq", "it's", 'quo"te', "", "ключ", "x:y", "%s", "a\\b"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, -2.5, 1e20]),
    st.sampled_from(["", "a", "b", "ab", "A", "é", "1", "true", "2020-01-01", "'", '"', "\\", ":x", "%"]),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(KEYS, SCALARS, max_size=2))
ORDERABLE = SCALARS.filter(lambda one: one is not None and not isinstance(one, bool))
TESTS = st.one_of(
    st.builds(lambda op, value: {op: value}, st.sampled_from(["$eq", "$ne", "$contains"]), SCALARS),
    st.builds(lambda op, value: {op: value}, st.sampled_from(list(ORDERED)), ORDERABLE),
    st.builds(lambda op, value: {op: value}, st.sampled_from(["$in", "$nin"]), st.lists(SCALARS, max_size=3)),
    st.builds(lambda value: {"$exists": value}, st.booleans()),
)
LEAVES = st.dictionaries(KEYS.filter(lambda key: not key.startswith("$")), st.one_of(SCALARS, TESTS), max_size=2)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"$and": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"$or": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"$not": part}, inner),
    ),
    max_leaves=6,
)


def matches(node: Filter, metadata: dict[str, Any]) -> bool:
    match node:
        case Every(parts):
            return all(matches(part, metadata) for part in parts)
        case Some(parts):
            return any(matches(part, metadata) for part in parts)
        case Not(part):
            return not matches(part, metadata)
        case Condition(key, operator, value):
            return test_of(operator, metadata.get(key, MISSING), value)


def test_of(operator: str, stored: object, value: Any) -> bool:
    if operator in ("$ne", "$nin"):
        return not test_of("$eq" if operator == "$ne" else "$in", stored, value)
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


test_of.__test__ = False  # type: ignore[attr-defined]  # a reading of the filter, not a test


def same(stored: object, value: object) -> bool:
    if isinstance(stored, bool) or isinstance(value, bool):
        return stored is value
    return (type(stored) in (int, float) and type(value) in (int, float) and stored == value) or (
        type(stored) is type(value) and stored == value
    )


def compare(operator: str, stored: object, value: Any) -> bool:
    numbers = type(stored) in (int, float) and type(value) in (int, float)
    strings = isinstance(stored, str) and isinstance(value, str)
    if not (numbers or strings):
        return False
    left: Any = stored.encode() if isinstance(stored, str) else stored
    right = value.encode() if isinstance(value, str) else value
    return bool({"$gt": left > right, "$gte": left >= right, "$lt": left < right, "$lte": left <= right}[operator])


async def ask_postgres(database: Database, tree: object, rows: list[dict[str, Any]]) -> list[bool]:
    sql, parameters = compile_filter(parse_filter(tree))
    statement = text(
        f"SELECT {sql} FROM (SELECT value AS metadata, n FROM jsonb_array_elements(CAST(:rows AS jsonb))"
        " WITH ORDINALITY AS t(value, n)) d ORDER BY n"
    )
    async with database.transaction() as session:
        connection = await session.connection()
        given = {"rows": msgspec.json.encode(rows).decode(), **parameters}
        return [bool(one) for one in await connection.scalars(statement, given)]  # as a WHERE would take it


async def test_postgres_agrees_with_a_plain_reading(database: Database) -> None:
    examples: list[tuple[object, list[dict[str, Any]]]] = []

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(tree=TREES, rows=st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=5))
    def collect(tree: object, rows: list[dict[str, Any]]) -> None:
        examples.append((tree, rows))

    collect()
    for tree, rows in examples:
        wanted = [matches(parse_filter(tree), row) for row in rows]
        assert await ask_postgres(database, tree, rows) == wanted, (tree, rows)


async def test_many_ids_at_once(database: Database) -> None:
    ids = [str(uuid.uuid4()) for _ in range(10_000)]
    rows = [{"id": ids[0]}, {"id": "other"}, {}]
    assert await ask_postgres(database, {"id": {"$in": ids}}, rows) == [True, False, False]
    assert await ask_postgres(database, {"id": {"$nin": ids}}, rows) == [False, True, True]


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ([], "filter"),
        ({"a": {}}, "filter.a"),
        ({"a": {"b": 1}}, "filter.a.b"),
        ({"a": [1]}, "filter.a"),
        ({"$or": []}, "filter.$or"),
        ({"$or": {"a": 1}}, "filter.$or"),
        ({"$and": [{"a": {"$gt": None}}]}, "filter.$and[0].a.$gt"),
        ({"$nor": [{}]}, "filter.$nor"),
        ({"a": {"$gt": True}}, "filter.a.$gt"),
        ({"a": {"$in": 1}}, "filter.a.$in"),
        ({"a": {"$in": [1, {}]}}, "filter.a.$in[1]"),
        ({"a": {"$exists": 1}}, "filter.a.$exists"),
        ({"a": "x\x00"}, "filter.a"),
        ({"a\x00": 1}, "filter.a\x00"),
        ({"@nothing": 1}, "filter.@nothing"),
        ({"@key": 1}, "filter.@key"),
        ({"@created_at": "yesterday"}, "filter.@created_at"),
        ({"@document_id": "7"}, "filter.@document_id"),
        ({"@document_id": {"$gt": "7"}}, "filter.@document_id.$gt"),
        ({"@created_at": {"$contains": "2"}}, "filter.@created_at.$contains"),
    ],
)
def test_a_wrong_filter_says_where(tree: object, path: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse_filter(tree)
    assert [one.path for one in caught.value.errors] == [path]


def test_a_filter_nested_without_end_is_refused() -> None:
    tree: dict[str, Any] = {"a": 1}
    for _ in range(50):
        tree = {"$not": tree}
    with pytest.raises(InvalidFilter):
        parse_filter(tree)


def test_keys_and_values_never_reach_the_sql_text() -> None:
    hostile = "'; DROP TABLE document; --"
    sql, parameters = compile_filter(parse_filter({hostile: {"$gt": hostile, "$in": [hostile], "$contains": hostile}}))
    assert "DROP" not in sql
    assert hostile in parameters.values()


@pytest.mark.parametrize(
    "tree",
    [{"$and": [{}] * 500_000}, {"$or": [{"a": 1}] * 2000}, {f"k{number}": 1 for number in range(2000)}],
    ids=["empty filters", "conditions", "keys"],
)
def test_a_filter_of_too_many_parts_is_refused_before_it_is_read(tree: object) -> None:
    with pytest.raises(InvalidFilter, match="1000 conditions"):
        parse_filter(tree)


def test_many_values_of_one_condition_are_not_many_conditions() -> None:
    assert isinstance(parse_filter({"a": {"$in": list(range(50_000))}}), Condition)
