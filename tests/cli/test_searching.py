"""`ragstore search`, `ingest` and `eval` against a running service."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from typer.testing import CliRunner, Result

from ragstore.cli import app
from ragstore.cli.search import list_names
from ragstore.client import Client
from ragstore.ingestion.schemas import DocumentUpsert
from ragstore.testing import FreshStore, run_ragstore

PASSAGES = {
    "leave": "Everyone has thirty days of paid leave a year.",
    "unpaid": "A year of unpaid leave is granted once; nothing is paid.",
    "travel": "Trains are booked in second class.",
}


@pytest.fixture(scope="module")
def store() -> Iterator[FreshStore]:
    with run_ragstore() as store:
        for name in ("handbook", "old"):
            store.client.ensure_collection(name)
            documents = [DocumentUpsert(text, key, metadata={"in": name}) for key, text in PASSAGES.items()]
            store.client.upsert_documents(name, documents)
        yield store


@pytest.fixture
def run(store: FreshStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Run":
    for name in [name for name in os.environ if name.startswith("RAGSTORE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAGSTORE_URL", store.url)
    monkeypatch.setenv("RAGSTORE_API_KEY", store.api_key)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    return Run()


class Run:
    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))


def read_keys(result: Result) -> list[str]:
    return [hit["document_key"] for hit in msgspec.json.decode(result.stdout)["hits"]]


def test_a_phrase_must_and_a_word_must_not_be_there(run: Run) -> None:
    assert read_keys(run("search", '"paid leave"', "--collection", "handbook", "--json")) == ["leave"]
    assert "unpaid" not in read_keys(run("search", "leave -unpaid", "--collection", "handbook", "--json"))


def test_several_collections_filter_and_group(run: Run) -> None:
    where = ("--collection", "handbook", "--collection", "old")
    result = run("search", "paid leave", *where, "--top-k", "4", "--group", "1", "--mode", "text", "--json")
    assert {hit["collection"] for hit in msgspec.json.decode(result.stdout)["hits"]} == {"handbook", "old"}
    shown = run("search", "paid leave", *where, "--filter", '{"in": "old"}')
    assert "3 hits" in shown.stdout
    least = run("search", "paid leave", *where, "--min-score", "0.99", "--diversity", "0.5", "--json")
    assert read_keys(least) == ["leave", "leave"]


def test_a_hit_shows_the_parts_of_its_score(run: Run) -> None:
    shown = run("search", "paid leave", "--collection", "handbook", "--neighbors", "1").stdout
    assert "text " in shown
    assert "vector " in shown
    assert "Mode " not in shown


def test_an_explanation_says_how_it_was_found(run: Run) -> None:
    shown = run("search", "paid leave", "--collection", "handbook", "--explain", "--exact").stdout
    assert "Mode hybrid: vectors count " in shown
    assert "exact_vectors" in shown
    assert "2 of 2" in shown
    assert "candidates" in shown
    assert "total" in shown


def test_a_collection_gets_its_language_once(run: Run, store: FreshStore, tmp_path: Path) -> None:
    (tmp_path / "haus.md").write_text("Die Häuser stehen am Fluss.")
    assert run("ingest", "haus.md", "--collection", "deutsch", "--language", "german").exit_code == 0
    assert store.client.read_collection("deutsch").language == "german"
    assert read_keys(run("search", "haus", "--collection", "deutsch", "--mode", "text", "--json")) == ["haus.md"]
    refused = run("ingest", "haus.md", "--collection", "deutsch", "--language", "french")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "german" in refused.stderr


def write_judged(folder: Path) -> None:
    folder.mkdir()
    encode = msgspec.json.encode
    lines = [encode({"_id": key, "text": text}) for key, text in PASSAGES.items()]
    (folder / "corpus.jsonl").write_bytes(b"\n".join(lines))
    (folder / "queries.jsonl").write_bytes(encode({"_id": "q", "text": "booking trains"}))
    (folder / "qrels.tsv").write_text("q\ttravel\t1\n")


def test_every_mode_of_every_folder_is_measured(run: Run, store: FreshStore, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_judged(tmp_path / name)
    reports = msgspec.json.decode(run("eval", "one", "two", "--language", "simple", "--run", "run", "--json").stdout)
    assert [one["dataset"] for one in reports] == ["one", "two"]
    assert [list(one["modes"]) for one in reports] == [["vector", "text", "hybrid"]] * 2
    assert {figures["ndcg@10"] for one in reports for figures in one["modes"].values()} == {1}
    assert {one["language"] for one in reports} == {"simple"}
    assert sorted(path.name for path in tmp_path.glob("run.*")) == [
        f"run.{name}.{mode}" for name in ("one", "two") for mode in ("hybrid", "text", "vector")
    ]
    shown = run("eval", "one", "two", "--mode", "text", "--mode", "hybrid").stdout
    assert "Mean of 2 folders" in shown
    assert "vector" not in shown
    assert run("eval", "one", "two", "--collection", "both").exit_code == 2
    assert run("eval", "one", "one").exit_code == 2


def test_an_unknown_collection_names_those_that_are_there(run: Run) -> None:
    for where in (("--collection", "nowhere"), ("--collection", "old", "--collection", "nowhere")):
        failed = run("search", "paid leave", *where)
        assert failed.exit_code == 1
        assert "no collection named 'nowhere'" in failed.stderr
        assert "There are: " in failed.stderr
        assert "handbook, old." in failed.stderr


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "There are none yet: `ragstore ingest` makes one."),
        (10, "There are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9."),
        (11, "There are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and more."),
    ],
)
def test_ten_names_are_told_at_most(count: int, said: str) -> None:
    collections = [SimpleNamespace(name=str(number)) for number in range(count)]
    assert list_names(cast(Client, SimpleNamespace(list_collections=lambda: iter(collections)))) == said
