"""Chroma's package is large and not installed: here is as much of it as is used, with the shapes of chromadb 1.5.9."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ragstore.cli.movers.chroma import open_chroma
from ragstore.collection.schemas import Metric
from ragstore.errors import ConfigurationError
from tests.cli.movers.foreign import make_vector

RECORDS = 700


class FakeCollection:
    def __init__(self, name: str, configuration: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        self.name = name
        self.configuration_json = configuration
        self.metadata = metadata
        self.records: list[tuple[str, str | None, dict[str, Any] | None]] = [
            (f"c{n}", f"Passage {n}", {"n": n, "source": "a.md", "tags": ["x"], "sparse": object()})
            for n in range(RECORDS)
        ]

    def count(self) -> int:
        return len(self.records)

    def get(self, *, limit: int, offset: int = 0, include: list[str]) -> dict[str, Any]:
        rows = self.records[offset : offset + limit]
        page: dict[str, Any] = {
            "ids": [key for key, _, _ in rows],
            "embeddings": None,
            "documents": None,
            "metadatas": None,
            "uris": None,
            "data": None,
            "included": include,
        }
        if "embeddings" in include:
            page["embeddings"] = np.array([make_vector(text or "") for _, text, _ in rows], dtype=np.float64)
        if "documents" in include:
            page["documents"] = [text for _, text, _ in rows]
        if "metadatas" in include:
            page["metadatas"] = [metadata for _, _, metadata in rows]
        return page

    def query(self, *, query_embeddings: list[list[float]], n_results: int, include: list[str]) -> dict[str, Any]:
        asked = np.array(query_embeddings[0])
        best = sorted(self.records, key=lambda record: -float(make_vector(record[1] or "") @ asked))
        return {"ids": [[key for key, _, _ in best[:n_results]]], "documents": None, "included": include}


@pytest.fixture
def collections(monkeypatch: pytest.MonkeyPatch) -> list[FakeCollection]:
    found: list[FakeCollection] = []

    def get_collection(name: str, embedding_function: object) -> FakeCollection:
        assert embedding_function is None  # its default one would be downloaded
        return next(one for one in found if one.name == name)

    def connect(**_: object) -> SimpleNamespace:
        return SimpleNamespace(list_collections=lambda: list(found), get_collection=get_collection)

    module = ModuleType("chromadb")
    module.__dict__.update(
        Settings=SimpleNamespace,
        PersistentClient=connect,
        HttpClient=connect,
        errors=SimpleNamespace(ChromaError=type("ChromaError", (Exception,), {})),
    )
    monkeypatch.setitem(sys.modules, "chromadb", module)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "chroma.sqlite3").touch()
    return tmp_path


def test_records_are_read_page_by_page(collections: list[FakeCollection], folder: Path) -> None:
    collections.append(FakeCollection("docs", {"hnsw": {"space": "cosine"}, "spann": None}))
    source = open_chroma("docs", folder=folder)
    described = source.describe()
    assert (described.passages, described.dimensions) == (RECORDS, 8)
    documents = list(source.documents())
    assert [one["key"] for one in documents] == [f"c{n}" for n in range(RECORDS)]
    assert documents[650]["metadata"] == {"n": 650, "source": "a.md", "tags": ["x"]}
    assert documents[650]["source"] == "a.md"
    assert documents[650]["vector"].dtype == np.float32
    np.testing.assert_array_equal(documents[650]["vector"], make_vector("Passage 650"))
    assert source.remarks == {"values of metadata that are no JSON: left out": RECORDS}
    assert source.search(make_vector("Passage 9"), 2)[0] == "c9"


def test_a_record_may_be_a_vector_only(collections: list[FakeCollection], folder: Path) -> None:
    collections.append(FakeCollection("docs", {}))
    collections[0].records = [("only", None, None)]
    (document,) = open_chroma("docs", folder=folder).documents()
    assert (document["content"], document["metadata"]) == ("", {})


@pytest.mark.parametrize(
    ("configuration", "metadata", "metric"),
    [
        ({"hnsw": {"space": "ip"}, "spann": None}, None, "inner_product"),
        ({"hnsw": None, "spann": {"space": "cosine"}}, None, "cosine"),
        ({}, {"hnsw:space": "cosine"}, "cosine"),
        ({}, None, "l2"),
    ],
)
def test_the_metric_is_the_collections(
    collections: list[FakeCollection],
    folder: Path,
    configuration: dict[str, Any],
    metadata: dict[str, Any] | None,
    metric: Metric,
) -> None:
    collections.append(FakeCollection("docs", configuration, metadata))
    assert open_chroma("docs", folder=folder).describe().metric == metric


def test_wrong_names_are_told(collections: list[FakeCollection], folder: Path, tmp_path: Path) -> None:
    collections.append(FakeCollection("docs", {}))
    with pytest.raises(ConfigurationError, match=r"no collection 'nothing'. There are: docs\."):
        open_chroma("nothing", url="http://127.0.0.1:8000")
    with pytest.raises(ConfigurationError, match=r"no chroma.sqlite3 in it"):
        open_chroma("docs", folder=tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(ConfigurationError, match="http://HOST:PORT"):
        open_chroma("docs", url="localhost:8000")


def test_without_the_package_one_line_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chromadb", None)
    with pytest.raises(ConfigurationError, match="pip install chromadb"):
        open_chroma("docs", folder=folder)
