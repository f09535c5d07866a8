import random
from typing import Any

import numpy as np
import pytest

from ragstore.cli.movers import nodes
from ragstore.cli.movers.llamaindex_pg import open_llamaindex_pg
from ragstore.errors import ConfigurationError
from tests.cli.movers.foreign import (
    EXTENSION,
    LLAMAINDEX_HALVES,
    LLAMAINDEX_TABLE,
    fill,
    make_vector,
    to_json,
    write_vector,
)

TEXT = "One fish.  Two fish.\n\nRed fish. Blue fish."
PARTS = [(0, 9), (11, 31), (22, 42)]  # the last two share "Red fish."
ADD = "INSERT INTO {table} (node_id, text, metadata_, embedding) VALUES ($1, $2, $3::text::{json}, $4::text::{vector})"

Row = tuple[str, str, str, str]


def make_row(
    node_id: str,
    content: str,
    document: str | None,
    *,
    start: int | None = None,
    after: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Row:
    """As `node_to_metadata_dict` of llama-index-core 0.14.25 makes it, shortened where nothing is read of it."""
    relationships: dict[str, Any] = {}
    if document is not None:
        relationships["1"] = {"node_id": document, "node_type": "4", "metadata": {}, "class_name": "RelatedNodeInfo"}
    if after is not None:
        relationships["3"] = {"node_id": after, "node_type": "1", "metadata": {}, "class_name": "RelatedNodeInfo"}
    inner = {
        "id_": node_id,
        "embedding": None,
        "metadata": metadata or {},
        "relationships": relationships,
        "text": "",
        "mimetype": "text/plain",
        "start_char_idx": start,
        "end_char_idx": None if start is None else start + len(content),
        "class_name": "TextNode",
    }
    name = document or "None"
    told = {
        "_node_content": to_json(inner),
        "_node_type": "TextNode",
        "document_id": name,
        "doc_id": name,
        "ref_doc_id": name,
    }
    return node_id, content, to_json((metadata or {}) | told), write_vector(content)


def make_rows(document: str, **metadata: Any) -> list[Row]:
    return [
        make_row(f"{document}-{n}", TEXT[start:end], document, start=start, metadata=metadata | {"page": n})
        for n, (start, end) in enumerate(PARTS)
    ]


def fill_guides(url: str, rows: list[Row]) -> None:
    random.Random(1).shuffle(rows)
    fill(url, EXTENSION, LLAMAINDEX_TABLE, (ADD.format(table="data_guides", json="json", vector="vector"), rows))


def read_all(url: str, name: str = "guides") -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    source = open_llamaindex_pg(url, name)
    found = list(source.documents())
    source.close()
    documents = {one["key"]: one for one in found}
    assert len(documents) == len(found)
    return documents, dict(source.remarks)


def test_nodes_of_one_document_come_together(empty_database_url: str) -> None:
    fill_guides(empty_database_url, [*make_rows("a", file_path="/d/a.txt"), *make_rows("b", file_path="/d/b.txt")])
    documents, remarks = read_all(empty_database_url)
    assert documents.keys() == {"a", "b"}
    assert remarks == {}
    one = documents["a"]
    assert (one["metadata"], one["source"]) == ({"file_path": "/d/a.txt"}, "/d/a.txt")
    assert [chunk["metadata"] for chunk in one["chunks"]] == [{"page": n, "node_id": f"a-{n}"} for n in range(3)]
    for chunk, (start, end) in zip(one["chunks"], PARTS, strict=True):
        assert chunk["content"] == TEXT[start:end]
        assert one["content"][chunk["start"] : chunk["end"]] == chunk["content"]
        np.testing.assert_array_equal(chunk["vector"], make_vector(TEXT[start:end]))
    # the white space between the first two was stripped from both: of its kind only the length is known
    assert one["content"] == TEXT.replace("  ", "\n\n")


def test_nodes_without_a_document_stay_alone(empty_database_url: str) -> None:
    fill_guides(empty_database_url, [make_row("x", "Red fish.", None), make_row("y", "Blue fish.", None)])
    documents, _ = read_all(empty_database_url)
    assert documents.keys() == {"x", "y"}
    assert documents["x"]["content"] == "Red fish."
    assert documents["x"]["metadata"] == {}


def test_nodes_are_ordered_by_what_comes_next_when_they_do_not_tell_where_they_begin(empty_database_url: str) -> None:
    rows = [
        make_row("n1", "One.", "a", after="n2"),
        make_row("n2", "Two.", "a", after="n0"),
        make_row("n0", "Three.", "a"),
    ]
    fill_guides(empty_database_url, rows)
    documents, _ = read_all(empty_database_url)
    assert [chunk["content"] for chunk in documents["a"]["chunks"]] == ["One.", "Two.", "Three."]
    assert "content" not in documents["a"]


def test_nodes_in_no_known_order_are_documents_each(empty_database_url: str) -> None:
    fill_guides(empty_database_url, [make_row("n1", "One.", "a"), make_row("n2", "Two.", "a")])
    documents, remarks = read_all(empty_database_url)
    assert documents.keys() == {"n1", "n2"}
    assert documents["n1"]["metadata"] == {"ref_doc_id": "a"}
    assert remarks == {"nodes whose order is not known: each is a document": 2}


def test_a_document_too_large_for_a_post_is_not_put_together(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragstore.cli.movers.llamaindex_pg.MOST_NODES", 2)
    fill_guides(empty_database_url, [*make_rows("a"), make_row("z", "Alone.", "z", start=0)])
    documents, remarks = read_all(empty_database_url)
    assert documents.keys() == {"a-0", "a-1", "a-2", "z"}
    assert remarks == {"nodes of documents of more than 2 nodes: each is a document": 3}


def test_of_a_node_added_twice_the_newer_counts_and_empty_ones_are_left_out(empty_database_url: str) -> None:
    fill_guides(empty_database_url, [make_row("x", "Old.", None)])
    insert = ADD.format(table="data_guides", json="json", vector="vector")
    fill(empty_database_url, (insert, [make_row("x", "New.", None), make_row("picture", " ", None)]))
    documents, remarks = read_all(empty_database_url)
    assert {key: one["content"] for key, one in documents.items()} == {"x": "New."}
    assert remarks == {"older copies of a node: left out": 1, "nodes without text: left out": 1}


def test_half_vectors_and_jsonb(empty_database_url: str) -> None:
    insert = ADD.format(table="data_halves", json="jsonb", vector="halfvec")
    fill(empty_database_url, EXTENSION, LLAMAINDEX_HALVES, (insert, make_rows("a")))
    source = open_llamaindex_pg(empty_database_url, "Halves")
    assert (source.describe().dimensions, source.count()) == (8, 3)
    (one,) = source.documents()
    np.testing.assert_allclose(one["chunks"][1]["vector"], make_vector(TEXT[11:31]), atol=1e-3)
    assert source.search(make_vector(TEXT[11:31]), 1) == ["a-1"]
    source.close()


def test_a_name_that_is_not_there(empty_database_url: str) -> None:
    fill_guides(empty_database_url, make_rows("a"))
    with pytest.raises(ConfigurationError, match=r"no 'nothing' to move. There are: data_guides\."):
        open_llamaindex_pg(empty_database_url, "nothing")


def make_node(content: str, start: int | None, end: int | None = None) -> nodes.Node:
    return nodes.Node(
        "n", "a", content, {}, None, start, end if end is not None or start is None else start + len(content)
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([make_node("abc", 10), make_node("cde", 12)], "abcde"),
        ([make_node("abc", 0), make_node("def", 4)], "abc def"),
        ([make_node("abcdef", 0), make_node("cd", 2), make_node("fg", 5)], "abcdefg"),
        ([make_node("abc", 0), make_node("xde", 2)], None),
        ([make_node("abc", 0), make_node("def", 12)], None),
        ([make_node("abc", 0, 5)], None),
        ([make_node("abc", 0), make_node("def", None)], None),
    ],
    ids=["shared", "gap", "inside another", "does not fit", "text between is gone", "wrong length", "no place"],
)
def test_the_text_is_put_together_where_its_parts_fit(given: list[nodes.Node], text: str | None) -> None:
    assert nodes.lay_out(given) == text
