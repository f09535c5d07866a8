from uuid import UUID

import numpy as np
import pytest

from ragstore.cli.movers.langchain_pg import open_langchain_pg
from ragstore.errors import ConfigurationError
from tests.cli.movers.foreign import (
    COMMUNITY_COLLECTION,
    COMMUNITY_EMBEDDING,
    EXTENSION,
    LANGCHAIN_COLLECTION,
    LANGCHAIN_EMBEDDING,
    LANGCHAIN_TABLE,
    fill,
    make_vector,
    to_json,
    write_vector,
)

DOCS, OTHER = UUID(int=1), UUID(int=2)
TEXTS = [f"Passage {number}" for number in range(450)]  # more than one fetch of the cursor
ADD_COLLECTION = "INSERT INTO langchain_pg_collection (uuid, name) VALUES ($1, $2)"
ADD = "INSERT INTO langchain_pg_embedding VALUES ($1, $2, $3::text::vector, $4, $5::text::jsonb)"
ADD_OLD = "INSERT INTO langchain_pg_embedding VALUES ($1, $2, $3::text::vector, $4, $5::text::json, $6)"


@pytest.fixture
def langchain(empty_database_url: str) -> str:
    metadata = to_json({"source": "a.md", "title": "", "n": [1, {"deep": None}]})
    rows = [(f"id-{n}", DOCS, write_vector(text), text, metadata) for n, text in enumerate(TEXTS)]
    fill(
        empty_database_url,
        EXTENSION,
        LANGCHAIN_COLLECTION,
        LANGCHAIN_EMBEDDING,
        (ADD_COLLECTION, [(DOCS, "docs"), (OTHER, "other one")]),
        (ADD, [*rows, ("lost", OTHER, None, None, None)]),
    )
    return empty_database_url


def test_a_collection_is_read_as_it_is(langchain: str) -> None:
    source = open_langchain_pg(langchain, "docs")
    described = source.describe()
    assert (described.passages, described.dimensions, described.metric) == (450, 8, "cosine")
    documents = {one["key"]: one for one in source.documents()}
    assert documents.keys() == {f"id-{number}" for number in range(450)}
    one = documents["id-7"]
    assert (one["content"], one["source"]) == ("Passage 7", "a.md")
    assert one["metadata"] == {"source": "a.md", "title": "", "n": [1, {"deep": None}]}
    assert "title" not in one
    np.testing.assert_array_equal(one["vector"], make_vector("Passage 7"))
    source.close()


def test_it_is_asked_by_the_cosine(langchain: str) -> None:
    source = open_langchain_pg(langchain, "docs")
    asked = make_vector("Passage 3")
    similar = sorted(TEXTS, key=lambda text: -float(make_vector(text) @ asked))
    assert source.search(asked * 5, 4) == [f"id-{text.split()[1]}" for text in similar[:4]]
    with pytest.raises(ConfigurationError, match="vectors only"):
        source.search("Passage 3", 4)
    source.close()


def test_a_row_may_lack_text_metadata_and_vector(langchain: str) -> None:
    source = open_langchain_pg(langchain, "other one")
    assert source.describe().dimensions is None
    assert list(source.documents()) == [{"key": "lost", "content": "", "metadata": {}}]
    source.close()


def test_what_is_not_there_is_told_with_what_is(langchain: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no 'nothing' to move. There are: docs, other one\.$"):
        open_langchain_pg(langchain, "nothing")


def fill_old(url: str, custom_ids: list[str | None]) -> None:
    rows = [
        (UUID(int=10 + n), DOCS, write_vector(f"Passage {n}"), f"Passage {n}", to_json({"n": n}), custom)
        for n, custom in enumerate(custom_ids)
    ]
    fill(
        url,
        EXTENSION,
        COMMUNITY_COLLECTION,
        COMMUNITY_EMBEDDING,
        (ADD_COLLECTION, [(DOCS, "docs"), (OTHER, None)]),
        (ADD_OLD, rows),
    )


def test_the_older_tables_have_custom_ids(empty_database_url: str) -> None:
    fill_old(empty_database_url, ["a", "b", None])
    source = open_langchain_pg(empty_database_url, "docs")
    assert [one["key"] for one in source.documents()] == ["a", "b", str(UUID(int=12))]
    assert source.search(make_vector("Passage 1"), 1) == ["b"]
    assert not source.remarks
    source.close()


def test_custom_ids_that_repeat_are_no_keys(empty_database_url: str) -> None:
    fill_old(empty_database_url, ["a", "a", "b"])
    source = open_langchain_pg(empty_database_url, "docs")
    documents = list(source.documents())
    assert [one["key"] for one in documents] == [str(UUID(int=number)) for number in (10, 11, 12)]
    assert documents[1]["metadata"] == {"n": 1, "custom_id": "a"}
    assert list(source.remarks.values()) == [1]
    source.close()


@pytest.fixture
def table(empty_database_url: str) -> str:
    rows = [
        (UUID(int=n), f"Passage {n}", write_vector(f"Passage {n}"), n, to_json({"source": f"{n}.md"})) for n in range(9)
    ]
    insert = "INSERT INTO new_docs (langchain_id, content, embedding, n, langchain_metadata)"
    fill(
        empty_database_url,
        EXTENSION,
        LANGCHAIN_TABLE,
        (f"{insert} VALUES ($1, $2, $3::text::vector, $4, $5::text::json)", rows),
        "UPDATE new_docs SET content_tsv = to_tsvector(content)",
    )
    return empty_database_url


def test_a_table_of_its_own_has_metadata_in_columns_too(table: str) -> None:
    source = open_langchain_pg(table, "new_docs")
    documents = list(source.documents())
    assert documents[4]["key"] == str(UUID(int=4))
    assert documents[4]["metadata"] == {"source": "4.md", "n": 4}
    assert source.search(make_vector("Passage 4"), 1) == [str(UUID(int=4))]
    source.close()


def test_other_names_of_columns_and_an_odd_name_of_the_table(table: str) -> None:
    fill(
        table,
        'CREATE SCHEMA "My Schema"',
        'ALTER TABLE new_docs SET SCHEMA "My Schema"',
        'ALTER TABLE "My Schema".new_docs RENAME TO "We said ""docs""; --"',
        'ALTER TABLE "My Schema"."We said ""docs""; --" RENAME content TO body',
        'ALTER TABLE "My Schema"."We said ""docs""; --" RENAME langchain_id TO "Id"',
        'ALTER TABLE "My Schema"."We said ""docs""; --" RENAME embedding TO "the vector"',
    )
    name = 'We said "docs"; --'
    with pytest.raises(
        ConfigurationError, match=r"no column 'content': name it with --text-column\. It has: Id, body,"
    ):
        open_langchain_pg(table, name, schema="My Schema")
    source = open_langchain_pg(table, name, schema="My Schema", text_column="body")
    assert source.describe().dimensions == 8
    assert [one["content"] for one in source.documents()] == [f"Passage {number}" for number in range(9)]
    assert source.search(make_vector("Passage 4"), 1) == [str(UUID(int=4))]
    source.close()


def test_vectors_of_an_extension_in_a_schema_of_its_own(empty_database_url: str) -> None:
    fill(empty_database_url, "CREATE SCHEMA extensions", "CREATE EXTENSION vector SCHEMA extensions")
    fill(empty_database_url, LANGCHAIN_TABLE.replace("vector(8)", "extensions.vector(8)"))
    source = open_langchain_pg(empty_database_url, "new_docs")
    assert source.search(make_vector("x"), 1) == []
    source.close()


def test_a_database_that_does_not_answer_is_told_without_the_password() -> None:
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        open_langchain_pg("postgresql://user:hidden-word@127.0.0.1:1/name", "docs")
    assert "hidden-word" not in str(caught.value)
