"""Lines into a collection over a network that breaks, and files that are not whole."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from ragstore.cli import app, transfer
from ragstore.cli.transfer import cut_parts, import_lines
from ragstore.client import Client, RagstoreClientError
from ragstore.collection.schemas import CollectionCreate
from ragstore.testing import FreshStore, run_ragstore

LINES = [json.dumps({"key": f"{number}", "content": f"text number {number}"}).encode() for number in range(30)]


@pytest.fixture
def store() -> Iterator[FreshStore]:
    with run_ragstore() as store:
        store.client.create_collection(CollectionCreate("docs"))
        yield store


@pytest.fixture
def runner(store: FreshStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    monkeypatch.setenv("RAGSTORE_URL", store.url)
    monkeypatch.setenv("RAGSTORE_API_KEY", store.api_key)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return CliRunner()


class Unreliable(httpx.HTTPTransport):
    """Every second import breaks: some before anything is stored, some when all is and the answer is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.posts = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "POST":
            return super().handle_request(request)
        self.posts += 1
        if self.posts % 4 == 1:
            raise httpx.ConnectError("refused", request=request)
        response = super().handle_request(request)
        if self.posts % 4 == 3:
            response.read()
            raise httpx.ReadError("reset", request=request)
        return response


def test_every_part_is_sent_until_it_is_stored(store: FreshStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PART_LINES", 4)
    monkeypatch.setattr(transfer, "choose_wait", lambda attempt, wish: 0.01)
    keyless = json.dumps({"content": "without a key"}).encode()
    network, told = Unreliable(), []
    with Client(store.url, store.api_key, transport=network) as client:
        imported = import_lines(
            client, "docs", iter([*LINES, b"{}", keyless]), advance=lambda size, lines: told.append((size, lines))
        )
    assert network.posts > 10
    assert imported.counts.lines == 32
    assert store.client.read_collection("docs").document_count == 31, "a lost answer stored its documents twice"
    assert imported.counts.failed == 1
    assert sum(lines for _, lines in told) == 32
    assert sum(size for size, _ in told) == sum(map(len, [*LINES, b"{}", keyless])) + 32


def test_a_refusal_is_not_repeated(store: FreshStore) -> None:
    network = Unreliable()
    with Client(store.url, store.api_key, transport=network) as client:
        network.posts = 1
        with pytest.raises(RagstoreClientError) as refused:
            import_lines(client, "none", iter(LINES))
    assert (refused.value.status, network.posts) == (404, 2)


def test_parts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PART_BYTES", 100)
    parts = list(cut_parts([b"x" * 40 + b"\n"] * 5 + [b"y" * 1000]))
    assert [len(part) for part in parts] == [3, 3]
    assert all(line.endswith(b"\n") for part in parts for line in part)


def test_a_cut_file_is_refused_or_taken_in_part(store: FreshStore, runner: CliRunner) -> None:
    import_lines(store.client, "docs", LINES)
    assert runner.invoke(app, ["export", "docs", "-o", "whole.jsonl"]).exit_code == 0
    whole = Path("whole.jsonl").read_bytes()
    Path("cut.jsonl").write_bytes(whole[: whole.index(b'"key":"20"') + 20])
    result = runner.invoke(app, ["import", "cut.jsonl", "--collection", "copy"])
    assert result.exit_code == 1
    assert "--partial" in result.stderr
    assert [one.name for one in store.client.list_collections()] == ["docs"]


def test_what_is_no_export_is_refused(runner: CliRunner) -> None:
    Path("other.jsonl").write_bytes(b"\n".join(LINES))
    result = runner.invoke(app, ["import", "other.jsonl"])
    assert result.exit_code == 1
    assert "does not begin like an export" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_export_that_fails_leaves_the_file_as_it_was(runner: CliRunner) -> None:
    Path("out.jsonl").write_text("before")
    result = runner.invoke(app, ["export", "none", "-o", "out.jsonl"])
    assert result.exit_code == 1
    assert Path("out.jsonl").read_text() == "before"


def test_an_export_goes_to_standard_output(store: FreshStore, runner: CliRunner) -> None:
    import_lines(store.client, "docs", LINES)
    result = runner.invoke(app, ["export", "docs", "--no-vectors"])
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert (len(lines), lines[-1]) == (32, {"done": True, "documents": 30})
    assert "vector" not in lines[1]["chunks"][0]
