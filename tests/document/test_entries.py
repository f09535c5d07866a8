"""Entries sort as their values do, and stand beside every document, whatever happens to it."""

import random
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ragstore.database import Database
from ragstore.document.entries import encode_entry, list_entries, range_of_key, range_of_order
from ragstore.document.filters import ORDERED
from tests.builders import make_collection, upsert
from tests.document.plain_reading import holds, is_number
from tests.document.stored import list_entry_differences

NUMBERS = st.one_of(st.integers(), st.integers(-(10**99), 10**99), st.floats(allow_nan=False, allow_infinity=False))
CLOSE = st.sampled_from([2**53 - 1, 2**53, 2**53 + 1, 10**30, 10**30 + 1, 1e30, 0, 0.0, -0.0, 5e-324, -5e-324, 1e-320])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LONG = st.builds(lambda start, length, end: start * length + end, st.sampled_from("xé😀"), st.integers(14, 66), TEXT)
SCALARS = st.one_of(NUMBERS, CLOSE, TEXT, LONG, st.booleans(), st.none())
ORDERABLE = st.one_of(NUMBERS, CLOSE, TEXT, LONG)
KEY_OF_SOURCE = encode_entry("@source", None)[:8]


@settings(max_examples=600, deadline=None, database=None, derandomize=True)
@given(stored=SCALARS, asked=ORDERABLE, operator=st.sampled_from(list(ORDERED)))
def test_what_matches_lies_in_the_range(stored: Any, asked: Any, operator: Any) -> None:
    found = range_of_order("key", operator, asked)
    entry = encode_entry("key", stored)
    if holds(operator, stored, asked):
        assert found.low <= entry < found.high
    if is_number(stored) != is_number(asked):
        assert not found.low <= entry < found.high
    assert range_of_key("key").low <= entry < range_of_key("key").high


@settings(max_examples=600, deadline=None, database=None, derandomize=True)
@given(stored=SCALARS, asked=SCALARS)
def test_equal_values_have_equal_entries_and_strings_no_others(stored: Any, asked: Any) -> None:
    same = encode_entry("key", stored) == encode_entry("key", asked)
    if holds("$eq", stored, asked):
        assert same
    elif not (is_number(stored) and is_number(asked)):
        assert not same


def test_a_short_range_leaves_out_what_is_beyond_it() -> None:
    found = range_of_order("key", "$lte", "b")
    assert [one for one in ("a", "b", "ba", "c") if found.low <= encode_entry("key", one) < found.high] == ["a", "b"]
    found = range_of_order("key", "$gte", 2)
    assert [one for one in (-3, 1.99, 2, 10**300) if found.low <= encode_entry("key", one) < found.high] == [2, 10**300]


def test_a_number_beyond_float64_is_infinite() -> None:
    assert encode_entry("key", 10**400) == encode_entry("key", float("inf"))
    assert encode_entry("key", -(10**400)) == encode_entry("key", float("-inf"))


def test_keys_that_no_filter_can_name_have_no_entry() -> None:
    assert list_entries(None, {"@source": "x", "$eq": 1}) == []
    assert [one[:8] for one in list_entries("book", {"@source": "x"})] == [KEY_OF_SOURCE]


async def list_versions(database: Database) -> dict[bytes, int]:
    async with database.transaction() as session:
        rows = await (await session.connection()).execute(text("SELECT entry, xmin::text::bigint FROM metadata_entry"))
        return {entry: written for entry, written in rows}


async def test_only_what_differs_is_written(client: httpx.AsyncClient, database: Database) -> None:
    await make_collection(client)
    document = {"key": "a", "content": "one", "source": "book", "metadata": {"year": 2020, "tags": ["x"], "none": None}}
    (stored,) = await upsert(client, document)
    before = await list_versions(database)
    assert set(before) == set(list_entries("book", document["metadata"]))  # type: ignore[arg-type]  # it is a dict
    await upsert(client, document)
    await upsert(client, document | {"content": "other"})
    assert await list_versions(database) == before
    patched = await client.patch(f"/v1/collections/docs/documents/{stored['id']}", json={"metadata": {"year": 2021}})
    assert patched.status_code == 200
    after = await list_versions(database)
    assert {entry for entry in before if after.get(entry) == before[entry]} == set(before) - {
        encode_entry("year", 2020)
    }
    assert set(after) - set(before) == {encode_entry("year", 2021)}


def make_metadata(chance: random.Random) -> dict[str, Any]:
    values = [None, True, 1, 1.0, 2.5, 10**30, "", "a", "x" * 300, "x" * 301, ["a"], {"b": 1}, -0.0, "😀"]
    return {key: chance.choice(values) for key in chance.sample(["a", "b", "c", "it's", "$d", "@e", ""], 4)}


@pytest.mark.parametrize("seed", [1, 2])
async def test_entries_are_what_a_recount_finds(client: httpx.AsyncClient, database: Database, seed: int) -> None:
    chance = random.Random(seed)
    await make_collection(client)
    await make_collection(client, "other")
    for _ in range(25):
        collection = chance.choice(["docs", "docs", "other"])
        path = f"/v1/collections/{collection}/documents"
        documents = [
            {
                "key": key,
                "content": chance.choice(["one", "two"]),
                "source": chance.choice([None, "book", "zoo"]),
                "metadata": make_metadata(chance),
            }
            for key in chance.sample("abcdefgh", 4)
        ]
        stored = await upsert(client, *documents, collection=collection)
        first, second, *_ = [f"{path}/{one['id']}" for one in stored]
        patch: dict[str, Any] = {"metadata": make_metadata(chance)}
        patch |= chance.choice([{}, {"source": None}, {"source": "other"}])
        assert (await client.patch(first, json=patch)).status_code == 200
        assert (await client.delete(second)).status_code == 204
    assert await list_entry_differences(database) == []
    assert len(await list_versions(database)) > 5
    deleted = await client.delete("/v1/collections/docs/documents", params={"filter": '{"a": {"$exists": true}}'})
    assert deleted.json()["deleted"] > 0
    assert (await client.delete("/v1/collections/other")).is_success
    assert await list_entry_differences(database) == []
