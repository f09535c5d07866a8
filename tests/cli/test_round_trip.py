"""`ragstore export`, then `ragstore import`: the copy answers as the original does."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ragstore.cli import app
from ragstore.client import Client
from ragstore.collection.schemas import ChunkingUpdate, CollectionCreate
from ragstore.ingestion.schemas import DocumentUpsert
from ragstore.search.samples import SIZE
from ragstore.search.schemas import Mode
from ragstore.testing import FreshStore, run_ragstore

QUERIES = ("how is a class made", "exceptions that are raised", "lambda", "the value of an integer")
DOCUMENTS = 24


@pytest.fixture
def store() -> Iterator[FreshStore]:
    with run_ragstore() as store:
        fill(store.client)
        yield store


@pytest.fixture
def runner(store: FreshStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    for name in [name for name in os.environ if name.startswith("RAGSTORE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAGSTORE_URL", store.url)
    monkeypatch.setenv("RAGSTORE_API_KEY", store.api_key)
    monkeypatch.chdir(tmp_path)
    return CliRunner()


def fill(client: Client) -> None:
    """Python's own language reference, in passages of which many share what is between them."""
    from pydoc_data.topics import topics  # noqa: PLC0415  # large

    wanted = CollectionCreate(
        "original", "Reference", chunking=ChunkingUpdate(size=256, overlap=32), metadata={"source": "python"}
    )
    client.create_collection(wanted)
    documents = [
        DocumentUpsert(content, key, key.title() if len(key) % 2 else None, "pydoc", None, {"n": len(key), "ä": ["ß"]})
        for key, content in sorted(topics.items())[:DOCUMENTS]
    ]
    for start in range(0, DOCUMENTS, 8):
        client.upsert_documents("original", documents[start : start + 20])


def list_answers(client: Client, collection: str) -> list[Any]:
    modes: tuple[Mode, ...] = ("vector", "text", "hybrid")
    found = [client.search(collection, query, mode=mode, top_k=20) for mode in modes for query in QUERIES]
    return [
        (hit.document_key, hit.content, hit.start, hit.title, hit.metadata, pytest.approx(hit.score, abs=1e-6))
        for one in found
        for hit in one.hits
    ]


@pytest.mark.parametrize("options", [[], ["--no-vectors"]], ids=["with vectors", "without"])
def test_the_copy_answers_as_the_original(store: FreshStore, runner: CliRunner, options: list[str]) -> None:
    assert runner.invoke(app, ["export", "original", "-o", "out.jsonl", *options]).exit_code == 0
    result = runner.invoke(app, ["import", "out.jsonl", "--collection", "copy"])
    assert result.exit_code == 0, result.output
    assert f"{DOCUMENTS} documents" in result.output
    original, copy = store.client.read_collection("original"), store.client.read_collection("copy")
    for name in ("title", "embedding_model", "chunking", "language", "metric", "metadata", "chunk_count"):
        assert getattr(copy, name) == getattr(original, name), name
    # Hybrid search weighs its two lists by a sample of the passages: of so few it is all of them.
    assert 3 * DOCUMENTS < copy.chunk_count <= SIZE
    assert list_answers(store.client, "copy") == list_answers(store.client, "original")
    exported = [json.loads(line) for line in store.client.export_lines("copy")][1:]
    before = [json.loads(line) for line in store.client.export_lines("original")][1:]
    for one in (*exported, *before):
        one.pop("created_at", None)
    assert exported == before


def test_vectors_are_taken_as_they_are(store: FreshStore, runner: CliRunner) -> None:
    """One that no model would give: were it embedded again, it would be another."""
    runner.invoke(app, ["export", "original", "-o", "out.jsonl"])
    lines = Path("out.jsonl").read_text().splitlines()
    first, second = json.loads(lines[1]), json.loads(lines[2])
    first["chunks"][0]["vector"], second["chunks"][0]["vector"] = (
        second["chunks"][0]["vector"],
        first["chunks"][0]["vector"],
    )
    lines[1:3] = [json.dumps(first), json.dumps(second)]
    Path("out.jsonl").write_text("\n".join(lines) + "\n")
    assert runner.invoke(app, ["import", "out.jsonl", "--collection", "copy"]).exit_code == 0
    exported = list(store.client.export_documents("copy"))
    assert exported[0].chunks[0].vector == first["chunks"][0]["vector"]


def test_the_same_command_goes_on_and_again_begins_anew(store: FreshStore, runner: CliRunner) -> None:
    runner.invoke(app, ["export", "original", "-o", "out.jsonl"])
    whole = Path("out.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    Path("out.jsonl").write_bytes(b"".join(lines[:11]) + lines[11][:50])
    partial = runner.invoke(app, ["import", "out.jsonl", "--collection", "copy", "--partial"])
    assert partial.exit_code == 0, partial.output
    assert store.client.read_collection("copy").document_count == 10
    Path("out.jsonl").write_bytes(whole)
    for options in ([], [], ["--again"]):
        result = runner.invoke(app, ["import", "out.jsonl", "--collection", "copy", *options])
        assert result.exit_code == 0, result.output
        assert store.client.read_collection("copy").document_count == DOCUMENTS
    versions = {one.version for one in store.client.list_documents("copy")}
    assert versions == {1}


def test_a_file_that_was_imported_to_its_end_is_imported_again(store: FreshStore, runner: CliRunner) -> None:
    """It said that all was created, from its notes, and the collection stayed empty."""
    runner.invoke(app, ["export", "original", "-o", "out.jsonl"])
    assert runner.invoke(app, ["import", "out.jsonl", "--collection", "copy"]).exit_code == 0
    for key in [one.key for one in store.client.list_documents("copy")]:
        store.client.delete_documents("copy", key=key)
    again = runner.invoke(app, ["import", "out.jsonl", "--collection", "copy"])
    assert again.exit_code == 0, again.output
    assert store.client.read_collection("copy").document_count == DOCUMENTS


def test_a_file_with_a_gap_is_refused(store: FreshStore, runner: CliRunner) -> None:
    runner.invoke(app, ["export", "original", "-o", "out.jsonl"])
    lines = Path("out.jsonl").read_bytes().splitlines(keepends=True)
    Path("out.jsonl").write_bytes(b"".join([*lines[:3], lines[-1]]))
    result = runner.invoke(app, ["import", "out.jsonl", "--collection", "copy"])
    assert (result.exit_code, "2 documents where its last line says" in result.output) == (1, True)


def test_into_another_model_only_without_vectors(store: FreshStore, runner: CliRunner) -> None:
    runner.invoke(app, ["export", "original", "-o", "out.jsonl"])
    result = runner.invoke(app, ["import", "out.jsonl", "--collection", "copy", "--model", "other"])
    assert (result.exit_code, "--no-vectors" in result.stderr) == (1, True)
    store.client.create_collection(CollectionCreate("german", language="german"))
    result = runner.invoke(app, ["import", "out.jsonl", "--collection", "german"])
    assert (result.exit_code, "language german" in result.stderr) == (1, True)
