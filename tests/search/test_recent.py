import uuid

import numpy as np

from ragstore.collection.schemas import Chunking
from ragstore.collection.service import CollectionHandle
from ragstore.search.recent import MOST_KEPT, MOST_QUERIES, RecentQueries

ME, STRANGER = uuid.UUID(int=1), uuid.UUID(int=2)


def make_handle(number: int) -> CollectionHandle:
    return CollectionHandle(uuid.UUID(int=number), "docs", "local", 1, Chunking(), "english", "cosine")


def test_each_tenant_has_its_own() -> None:
    recent, docs = RecentQueries(), make_handle(1)
    recent.note(ME, docs, np.ones(3, np.float32))
    assert len(recent.choose(ME, docs, 10)) == 1
    assert recent.choose(STRANGER, docs, 10) == []
    assert recent.choose(ME, make_handle(2), 10) == []


def test_the_last_of_a_collection_are_kept_and_no_more() -> None:
    recent, docs = RecentQueries(), make_handle(1)
    for number in range(MOST_QUERIES + 5):
        recent.note(ME, docs, np.full(3, number, np.float32))
    kept = recent.choose(ME, docs, 10_000)
    assert sorted(int(one[0]) for one in kept) == list(range(5, MOST_QUERIES + 5))
    assert len(recent.choose(ME, docs, 7)) == 7


def test_collections_that_nobody_asks_any_more_are_forgotten() -> None:
    recent = RecentQueries()
    for number in range(MOST_KEPT):
        recent.note(ME, make_handle(number), np.ones(3, np.float32))
    recent.note(ME, make_handle(0), np.ones(3, np.float32))
    recent.note(ME, make_handle(MOST_KEPT), np.ones(3, np.float32))
    assert recent.choose(ME, make_handle(1), 10) == []
    assert len(recent.choose(ME, make_handle(0), 10)) == 2
    assert len(recent.kept) == MOST_KEPT
