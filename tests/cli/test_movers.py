"""`ragstore import --from` against a running service."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ragstore.cli import app
from ragstore.embedding.local import LocalEmbedder
from ragstore.testing import FreshStore, run_ragstore
from tests.cli.movers.foreign import (
    EXTENSION,
    LANGCHAIN_COLLECTION,
    LANGCHAIN_EMBEDDING,
    LLAMAINDEX_TABLE,
    fill,
    to_json,
)
from tests.cli.movers.test_llamaindex_pg import ADD, make_row

DOCS = UUID(int=1)
SUBJECTS = ("cats", "dogs", "rivers", "hills", "tax", "rent", "wine", "bread", "wool", "glass", "iron", "salt")
TEXTS = [f"All about {one} and {other}." for one in SUBJECTS for other in SUBJECTS if one < other]


@pytest.fixture(scope="module")
def store() -> Iterator[FreshStore]:
    with run_ragstore() as store:
        yield store


@pytest.fixture
def run(store: FreshStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Run":
    monkeypatch.setenv("RAGSTORE_URL", store.url)
    monkeypatch.setenv("RAGSTORE_API_KEY", store.api_key)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    return Run()


class Run:
    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["import", *arguments])


def embed(texts: list[str]) -> list[str]:
    """By the model `local`, as SQL has vectors; 256 numbers."""
    vectors = LocalEmbedder().embed(texts)[:, :256]
    return ["[" + ",".join(map(str, one.tolist())) + "]" for one in np.asarray(vectors, np.float32)]


@pytest.fixture
def langchain(empty_database_url: str) -> str:
    return fill_langchain(empty_database_url, embed(TEXTS))


def fill_langchain(url: str, vectors: list[str]) -> str:
    rows = [
        (f"id-{n}", DOCS, vector, text, to_json({"source": f"{n}.md", "n": n}))
        for n, (text, vector) in enumerate(zip(TEXTS, vectors, strict=True))
    ]
    fill(
        url,
        EXTENSION,
        LANGCHAIN_COLLECTION,
        LANGCHAIN_EMBEDDING,
        ("INSERT INTO langchain_pg_collection (uuid, name) VALUES ($1, $2)", [(DOCS, "docs")]),
        ("INSERT INTO langchain_pg_embedding VALUES ($1, $2, $3::text::vector, $4, $5::text::jsonb)", rows),
    )
    return url


def from_langchain(url: str, collection: str, *more: str) -> tuple[str, ...]:
    return ("--from", "langchain-pg", "--database-url", url, "--name", "docs", "--collection", collection, *more)


def test_a_store_is_moved_with_its_vectors(run: Run, store: FreshStore, langchain: str) -> None:
    moved = run(*from_langchain(langchain, "kept", "--model", "local", "--least-overlap", "1"))
    assert moved.exit_code == 0, moved.output
    assert "66 passages, vectors of 256 numbers, cosine" in moved.stdout
    assert "overlap@10 1.000" in moved.stdout
    assert "does not seem" not in moved.stderr
    (document,) = store.client.list_documents("kept", key="id-7")
    assert document.metadata == {"source": "7.md", "n": 7}
    again = run(*from_langchain(langchain, "kept"))
    assert "for those of local, the model of the collection kept" in again.stdout
    assert "│ 0       │ 0       │ 66        │ 0      │" in again.stdout


def test_another_models_vectors_are_noticed(run: Run, empty_database_url: str) -> None:
    turned = embed([text[::-1] for text in TEXTS])
    moved = run(*from_langchain(fill_langchain(empty_database_url, turned), "foreign", "--model", "local"))
    assert "overlap@10 1.000" in moved.stdout
    assert "local does not seem to have made them" in moved.stderr


def test_nodes_are_moved_as_passages_of_their_documents(run: Run, store: FreshStore, empty_database_url: str) -> None:
    rows: list[Any] = []
    for book in range(6):
        start = 0
        for number, text in enumerate(TEXTS[book * 11 : book * 11 + 11]):
            node = make_row(f"d{book}-{number}", text, f"d{book}", start=start, metadata={"page": number})
            rows.append((*node[:3], embed([text])[0]))
            start += len(text) + 1
    table = LLAMAINDEX_TABLE.replace("vector(8)", "vector(256)")
    insert = ADD.format(table="data_guides", json="json", vector="vector")
    fill(empty_database_url, EXTENSION, table, (insert, rows))
    options = ("--database-url", empty_database_url, "--name", "guides", "--model", "local", "--least-overlap", "1")
    moved = run("--from", "llamaindex-pg", *options)
    assert moved.exit_code == 0, moved.output
    assert "overlap@10 1.000" in moved.stdout
    assert store.client.read_collection("guides").document_count == 6
    (hit,) = store.client.search("guides", TEXTS[12], top_k=1).hits
    assert (hit.document_key, hit.metadata, hit.content) == ("d1", {"page": 1, "node_id": "d1-1"}, TEXTS[12])
    (document,) = store.client.list_documents("guides", key="d1")
    assert hit.start == len(TEXTS[11]) + 1
    assert document.metadata == {}


def test_texts_are_embedded_anew_when_asked_or_when_vectors_are_too_wide(
    run: Run, store: FreshStore, langchain: str
) -> None:
    moved = run(*from_langchain(langchain, "anew", "--embed-anew", "--language", "simple"))
    assert moved.exit_code == 0, moved.output
    assert "│ 66      │ 0       │ 0         │ 0      │" in moved.stdout
    assert "overlap@10" in moved.stdout
    assert store.client.read_collection("anew").language == "simple"
    (hit,) = store.client.search("anew", TEXTS[5], top_k=1).hits
    assert (hit.document_key, hit.metadata, hit.source) == ("id-5", {"source": "5.md", "n": 5}, "5.md")
    fill(
        langchain,
        "UPDATE langchain_pg_embedding SET embedding = (SELECT array_agg(1) FROM generate_series(1, 3072))::vector",
    )
    wide = run(*from_langchain(langchain, "wide"))
    assert "3,072 numbers, more than 1,536: they cannot be kept" in wide.stdout
    assert store.client.read_collection("wide").document_count == 66


def test_differing_answers_are_exit_code_1(run: Run, langchain: str) -> None:
    fill(langchain, "UPDATE langchain_pg_embedding SET embedding = (SELECT array_agg(random()) FROM"
         " generate_series(1, 256) WHERE id IS NOT NULL)::vector")  # fmt: skip
    options = from_langchain(langchain, "differing", "--embed-anew")
    assert run(*options, "--least-overlap", "0.01").exit_code == 0
    assert run(*options, "--least-overlap", "0.99").exit_code == 1
    assert "overlap" not in run(*options, "--compare", "0").stdout
    assert run(*options, "--compare", "0", "--least-overlap", "0.5").exit_code == 2


def test_a_passage_without_text_fails_alone(run: Run, langchain: str) -> None:
    fill(langchain, "UPDATE langchain_pg_embedding SET document = NULL WHERE id = 'id-9'")
    moved = run(*from_langchain(langchain, "lacking", "--embed-anew"))
    assert moved.exit_code == 1
    assert "│ 65      │ 0       │ 0         │ 1      │" in moved.stdout
    assert moved.stderr.splitlines()[-1].startswith("id-9: ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "local", "--name", "nothing"), "There are: docs."),
        ((), "Which model made these vectors?"),
        (("--schema", "elsewhere"), "nothing with vectors in it"),
    ],
    ids=["name", "model", "schema"],
)
def test_what_is_missing_is_told_before_anything_is_made(
    run: Run, store: FreshStore, langchain: str, options: tuple[str, ...], said: str
) -> None:
    failed = run(*from_langchain(langchain, "unmade", *options))
    assert failed.exit_code == 1
    assert said in failed.stderr
    assert "unmade" not in [one.name for one in store.client.list_collections()]


def test_vectors_of_another_width_than_the_models_are_refused(run: Run, langchain: str) -> None:
    fill(langchain, "UPDATE langchain_pg_embedding SET embedding = subvector(embedding, 1, 100)")
    failed = run(*from_langchain(langchain, "narrow", "--model", "local"))
    assert failed.exit_code == 1
    assert "makes vectors of 256 numbers, these have 100" in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "langchain-pg", "--name", "x"), "--database-url"),
        (("--from", "chroma", "--name", "x"), "--path FOLDER or --url"),
        (("--from", "openai", "--name", "x"), "OPENAI_API_KEY"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_each_store_says_what_it_needs(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    failed = run(*arguments)
    assert (failed.exit_code, failed.stderr.count("\n")) == (1, 1)
    assert said in failed.stderr


def test_an_unknown_store_is_wrong_usage(run: Run) -> None:
    assert run("--from", "weaviate", "--name", "x").exit_code == 2
