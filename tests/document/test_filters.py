"""The compiler against a plain Python reading of the same filter, on trees and metadata nobody thought of."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragstore.columns import new_id
from ragstore.database import Database
from ragstore.document.filter_sql import compile_filter
from ragstore.document.filters import ORDERED, Condition, parse_filter
from ragstore.errors import InvalidFilter
from tests.conftest import ROLES, make_settings
from tests.document.plain_reading import Stored, matches
from tests.document.stored import find_ids, store_documents

One = TypeVar("One")
KEYS = st.sampled_from(["a", "b", "c.d", "$eq", "@source", "it's", 'quo"te', "", "ключ", "x:y", "%s", "a\\b"])
NUMBERS = [0.5, 1.0, -2.5, -0.0, 1e20, 10**20, 1e30, 10**30, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 5e-324, 10**99]
LONG = ["x" * 200, "x" * 200 + "a", "x" * 200 + "b", "x" * 199 + "y", "y" * 63, "y" * 64, "y" * 65, "é" * 32, "é" * 33]
STRINGS = [
    "",
    "a",
    "b",
    "ab",
    "A",
    "é",
    "e\u0301",
    "\uffff",
    "😀",
    "\U0010ffff",
    "1",
    "true",
    "null",
    "'",
    '"',
    "\\",
    ":x",
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(NUMBERS), st.sampled_from(STRINGS + LONG)
)
VALUES = st.one_of(SCALARS, SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(KEYS, SCALARS, max_size=2))
ORDERABLE = SCALARS.filter(lambda one: one is not None and not isinstance(one, bool))
TEST = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne", "$contains"]), SCALARS),
    st.tuples(st.sampled_from(list(ORDERED)), ORDERABLE),
    st.tuples(st.sampled_from(list(ORDERED)), ORDERABLE),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(SCALARS, max_size=3)),
    st.tuples(st.just("$exists"), st.booleans()),
)
TESTS = st.lists(TEST, min_size=1, max_size=3).map(dict)
ASKED = KEYS.filter(lambda key: not key.startswith(("$", "@")))
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 60).map(lambda hours: (BEGAN + timedelta(hours=hours)).isoformat())
NAMES = st.sampled_from(["0", "7", "59", "book", "x" * 200 + "a", "it's", "none"])
FIELD_LEAVES = st.one_of(
    st.builds(lambda op, one: {"@key": {op: one}}, st.sampled_from(["$eq", "$ne", *ORDERED, "$contains"]), NAMES),
    st.builds(lambda op, one: {"@source": {op: one}}, st.sampled_from(["$eq", "$ne", *ORDERED, "$contains"]), NAMES),
    st.builds(lambda op, one: {"@source": {op: one}}, st.sampled_from(["$eq", "$ne"]), st.none()),
    st.builds(lambda op, one: {"@created_at": {op: one}}, st.sampled_from(["$eq", *ORDERED]), MOMENTS),
    st.builds(
        lambda key, op, some: {key: {op: some}},
        st.sampled_from(["@key", "@source"]),
        st.sampled_from(["$in", "$nin"]),
        st.lists(st.one_of(NAMES, st.none()), max_size=3),
    ),
    st.builds(lambda key, one: {key: {"$exists": one}}, st.sampled_from(["@key", "@source"]), st.booleans()),
)
METADATA_LEAVES = st.dictionaries(
    ASKED, st.one_of(SCALARS, TESTS, TESTS, TESTS.map(lambda tests: {"$not": tests})), min_size=1, max_size=2
)
TREES = st.recursive(
    st.one_of(METADATA_LEAVES, METADATA_LEAVES, FIELD_LEAVES, st.just({})),
    lambda inner: st.one_of(
        st.builds(lambda parts: {"$and": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"$or": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"$not": part}, inner),
    ),
    max_leaves=6,
)


def draw(strategy: st.SearchStrategy[One], count: int) -> list[One]:
    """The same ones in every run."""
    drawn: list[One] = []

    @settings(
        max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True
    )
    @given(one=strategy)
    def collect(one: One) -> None:
        drawn.append(one)

    collect()
    return drawn


def make_documents() -> list[Stored]:
    """Each key has each of the scalars once at least, beside what is drawn."""
    drawn = draw(st.dictionaries(KEYS, VALUES, min_size=1, max_size=6), 60)
    scalars = [None, True, False, *NUMBERS, *STRINGS, *LONG]
    metadata = drawn + [{"a": one, "b": other} for one, other in zip(scalars, reversed(scalars), strict=True)]
    sources = [None, "book", "x" * 200 + "a", "x" * 200 + "b", "it's"]
    return [
        Stored(new_id(), str(number), sources[number % len(sources)], BEGAN + timedelta(hours=number), one)
        for number, one in enumerate(metadata)
    ]


async def test_postgres_agrees_with_a_plain_reading(database: Database, database_url: str) -> None:
    documents = make_documents()
    tenant_id = await store_documents(database, documents)
    acting = Database.connect(database_url, make_settings(database_url), role=ROLES.app)
    served = found = 0
    async with acting.transaction(tenant_id, plan="custom") as session:
        for tree in draw(METADATA_LEAVES, 400) + draw(TREES, 400):
            node = parse_filter(tree)
            wanted = {one.id for one in documents if matches(node, one)}
            by_entries = "metadata_entry" in compile_filter(node)[0]
            served, found = served + by_entries, found + (by_entries and bool(wanted))
            assert await find_ids(session, tenant_id, tree) == wanted, tree
    await acting.close()
    assert (served > 300, found > 100) == (True, True), (served, found)


@pytest.mark.parametrize("key", ["id", "@key", "@document_id"])
async def test_ten_thousand_values_at_once(database: Database, database_url: str, key: str) -> None:
    documents = [Stored(new_id(), f"k{n}", None, BEGAN, {"id": f"m{n}"}) for n in range(20)]
    names: dict[str, Callable[[Stored], str]] = {
        "id": lambda one: one.metadata["id"],
        "@key": lambda one: one.key,
        "@document_id": lambda one: str(one.id),
    }
    tenant_id = await store_documents(database, documents)
    known = [names[key](one) for one in documents[:7]]
    values = [*known, *(str(new_id()) for _ in range(10_000 - len(known)))]
    acting = Database.connect(database_url, make_settings(database_url), role=ROLES.app)
    async with acting.transaction(tenant_id, plan="custom") as session:
        assert await find_ids(session, tenant_id, {key: {"$in": values}}) == {one.id for one in documents[:7]}
        assert await find_ids(session, tenant_id, {key: {"$nin": values}}) == {one.id for one in documents[7:]}
    await acting.close()


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
