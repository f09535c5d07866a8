"""What a type says of one place in it."""

from typing import Any

import pytest

from ragstore.collection.schemas import CollectionCreate, CollectionUpdate
from ragstore.search.schemas import SearchRequest
from ragstore.shapes import is_unchangeable, list_choices


@pytest.mark.parametrize(
    ("kind", "path", "choices"),
    [
        (SearchRequest, "mode", ["hybrid", "text", "vector"]),
        (SearchRequest, "include[2]", ["content", "metadata", "scores", "vector"]),
        (SearchRequest, "fusion.method", ["convex", "rrf"]),
        (SearchRequest, "queries[0].query", []),
        (SearchRequest, "nothing.here[...].at.all", []),
        ({"data": CollectionCreate, "limit": int}, "data.metric", ["cosine", "inner_product", "l2"]),
        ({"data": CollectionCreate}, "other", []),
        ({}, "", []),
        (dict[str, list[SearchRequest]], "[...][3].group_by", ["document"]),
    ],
)
def test_the_choices_at_a_path(kind: Any, path: str, choices: list[str]) -> None:
    assert list_choices(kind, path) == choices


def test_what_cannot_be_changed_is_so_in_the_update_alone() -> None:
    assert is_unchangeable({"data": CollectionUpdate}, "data", "metric")
    assert not is_unchangeable({"data": CollectionUpdate}, "data", "title")
    assert not is_unchangeable({"data": CollectionCreate}, "data", "metric")
