"""What `ragstore ingest` reads: patterns, standard input, records by content, files that the service reads."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from ragstore.cli.batches import make_batches
from ragstore.cli.finding import find_files
from ragstore.cli.ingest import choose_chunking
from ragstore.cli.items import Item, Upload
from ragstore.cli.loading import Outcome, load, open_collection
from ragstore.cli.reading import read_files, read_stdin
from ragstore.client import Client
from ragstore.collection.schemas import ChunkingUpdate
from ragstore.errors import ConfigurationError
from ragstore.ingestion.schemas import DocumentUpsert

JOB = UUID(int=7)


def find_keys(pattern: str) -> list[str]:
    return [one.key for one in find_files([pattern]).files]


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("docs/a.md", "docs/sub/b.md", "docs/sub/c.xyz", "docs/.hidden/d.md", "docs/e[1].md", "docs/f.pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("text")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_pattern_gives_the_keys_its_folder_would_give(docs: Path) -> None:
    assert find_keys("docs/**/*.md") == ["a.md", "e[1].md", "sub/b.md"]
    assert find_keys("docs/sub/*") == ["b.md", "c.xyz"]
    assert find_keys(f"{docs}/*/a.*") == ["docs/a.md"]
    assert find_keys("docs/e[1].md") == ["e[1].md"]  # a file of that very name is no pattern
    assert find_files(["docs/*.rst"]).failures == [("docs/*.rst", "matches no file")]


def test_a_folder_has_files_for_the_service_too(docs: Path) -> None:
    (docs / "docs" / "g.json").write_text("[]")
    assert find_keys("docs") == ["a.md", "e[1].md", "f.pdf", "sub/b.md"]
    uploads = [item.upload for item in read_files(find_files(["docs", "docs/g.json"]).files) if item.upload is not None]
    assert [(one.key, one.name, one.source) for one in uploads] == [
        ("f.pdf", "f.pdf", "docs/f.pdf"), ("g.json", "g.json", "docs/g.json"),
    ]  # fmt: skip


@pytest.mark.parametrize("beginning", [b"%PDF-1.7\n\0", b"PK\x03\x04\0", b"{\\rtf1 x}"])
def test_a_file_is_known_by_its_beginning(tmp_path: Path, beginning: bytes) -> None:
    (tmp_path / "unnamed").write_bytes(beginning)
    (item,) = read_files(find_files([tmp_path / "unnamed"]).files)
    assert item.upload is not None
    assert item.upload.key == "unnamed"


@pytest.mark.parametrize(
    ("name", "content", "documents"),
    [
        ("records.txt", '{"id": 1, "text": "x"}\n{"id": 2, "text": "y"}\n', 2),
        ("records", '\ufeff{"id": 1, "text": "x"}', 1),
        ("records.json", '{"id": 1, "content": "x"}\n', 1),
        ("text.txt", '{"id": 1}\n', 1),
        ("text.txt", "{braces} are text\n", 1),
        ("text.md", '{"id": 1, "text": "x"}\n{"id": 2, "text": "y"}\n', 1),
    ],
)
def test_records_are_known_by_their_first_line(tmp_path: Path, name: str, content: str, documents: int) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    items = list(read_files(find_files([tmp_path / name]).files))
    assert len(items) == documents
    assert (items[0].name.endswith(":1")) is name.startswith("records")
    assert all(item.document is not None for item in items)


def read_input(content: bytes, key: str | None = None) -> list[Item]:
    return list(read_stdin(io.BytesIO(content), key))


def test_standard_input_is_a_document_or_records() -> None:
    (one,) = read_input(b"# Title\ntext", "notes/a.md")
    assert isinstance(one.document, DocumentUpsert)
    assert (one.document.key, one.document.title, one.document.source) == ("notes/a.md", "Title", "stdin")
    assert len(read_input(b'{"id": 1, "text": "x"}\n{"id": 2, "text": "y"}')) == 2
    (alone,) = read_input(b'{"id": 1, "text": "x"}', "a")
    assert isinstance(alone.document, DocumentUpsert)
    assert alone.document.content == '{"id": 1, "text": "x"}'
    (file,) = read_input(b"%PDF-1.7", "a/b.pdf")
    assert file.upload == Upload(b"%PDF-1.7", "a/b.pdf", "b.pdf", "stdin")
    assert [item.fault for item in read_input(b" \n", "a")] == ["is empty"]
    with pytest.raises(ConfigurationError, match="--key NAME"):
        read_input(b"text")


def test_a_file_is_posted_alone_and_in_its_turn() -> None:
    text, file = Item("t", 1, DocumentUpsert("x", "t")), Item("f", 1, upload=Upload(b"x", "f", "f", "f"))
    assert [len(batch.items) for batch in make_batches([text, text, file, text, file, file])] == [2, 1, 1, 1, 1]


class FakeService:
    """The route of files as it is agreed: `accepted` ones are asked for until their job has ended."""

    def __init__(self, answer: Callable[[str], tuple[int, dict[str, Any]]], states: list[dict[str, Any]]) -> None:
        self.answer = answer
        self.states = states
        self.forms: list[bytes] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == f"/v1/jobs/{JOB}":
            return httpx.Response(200, json=make_job(**self.states.pop(0)))
        assert (request.url.path, request.url.params["wait"]) == ("/v1/collections/books/files", "true")
        assert request.headers["content-type"].startswith("multipart/form-data")
        self.forms.append(request.read())
        status, body = self.answer("f.pdf")
        return httpx.Response(status, json=body)


def make_job(**changes: Any) -> dict[str, Any]:
    time = "2026-01-01T00:00:00Z"
    job = {"id": str(JOB), "kind": "file", "state": "running", "priority": 0, "counts": {}, "message": None}
    job |= {"result": None, "error": None, "attempts": 1, "max_attempts": 5, "finished_at": None}
    job |= {"progress": None, "eta_seconds": None, "started_at": None}
    return job | {"run_at": time, "created_at": time, "updated_at": time} | changes


def run_load(service: FakeService, *items: Item) -> Outcome:
    outcome = Outcome()
    with Client("http://service.test", "key", transport=httpx.MockTransport(service)) as client:
        load(client, "books", items, outcome, lambda size, documents: None)
    return outcome


def make_upload(file: Path | bytes = b"%PDF-x") -> Item:
    return Item("docs/f.pdf", 5, upload=Upload(file, "sub/f.pdf", "f.pdf", "docs/f.pdf"))


def accept(key: str, **changes: Any) -> dict[str, Any]:
    return {"results": [{"key": key, "name": key, "status": "accepted", "job": str(JOB), "warnings": []} | changes]}


def test_a_file_goes_out_with_its_key_and_its_job_is_waited_for() -> None:
    done = {"key": "sub/f.pdf", "status": "created", "id": str(JOB), "version": 1, "chunks": 3, "warnings": []}
    service = FakeService(lambda key: (202, accept(key)), [{}, {"state": "succeeded", "result": done}])
    assert run_load(service, make_upload()).counts == {"created": 1}
    (form,) = service.forms
    assert b'name="file"; filename="f.pdf"' in form
    assert b'name="key"\r\n\r\nsub/f.pdf' in form
    assert b"%PDF-x" in form


def test_an_unchanged_file_has_no_job_to_wait_for() -> None:
    service = FakeService(lambda key: (200, accept(key, status="unchanged", job=None)), [])
    assert run_load(service, make_upload()).counts == {"unchanged": 1}


@pytest.mark.parametrize(
    ("answer", "states", "reason"),
    [
        ((202, accept("f")), [{"state": "failed", "error": {"type": "t", "detail": "is encrypted"}}], "is encrypted"),
        ((202, accept("f")), [{"state": "cancelled"}], "was cancelled"),
        ((200, accept("f", status="failed", error={"type": "t", "detail": "is a bomb"})), [], "is a bomb"),
        ((413, {"detail": "The request body is too large"}), [], "The request body is too large"),
        ((404, {"detail": "There is nothing here"}), [], "There is nothing here"),
    ],
    ids=["failed", "cancelled", "at once", "too large", "no such route"],
)
def test_a_file_fails_alone(answer: tuple[int, dict[str, Any]], states: list[dict[str, Any]], reason: str) -> None:
    service = FakeService(lambda key: answer, states)
    outcome = run_load(service, make_upload())
    assert outcome.failures == [("docs/f.pdf", reason)]


def test_a_file_that_is_gone_fails_alone(tmp_path: Path) -> None:
    outcome = run_load(FakeService(lambda key: (200, {}), []), make_upload(tmp_path / "gone.pdf"))
    assert outcome.failures == [("docs/f.pdf", "No such file or directory")]


def test_a_new_collection_gets_its_chunking_and_another_one_is_refused() -> None:
    wanted = choose_chunking(100, None, "markdown", None)
    assert wanted == ChunkingUpdate(size=100, strategy="markdown")
    assert choose_chunking(None, None, None, None) is None
    made: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and not made:
            return httpx.Response(404, json={"detail": "none"})
        if request.method == "POST":
            made.append(msgspec.json.decode(request.content))
        time = "2026-01-01T00:00:00Z"
        rule = {"size": 100, "overlap": 12, "strategy": "markdown", "prefix": "title"}
        told: dict[str, Any] = {
            "id": str(JOB),
            "name": "books",
            "title": None,
            "embedding_model": "local",
            "chunking": rule,
        }
        told |= {"language": "english", "metric": "cosine", "metadata": {}, "document_count": 0, "chunk_count": 0}
        return httpx.Response(200, json=told | {"created_at": time, "updated_at": time})

    with Client("http://service.test", "key", transport=httpx.MockTransport(answer)) as client:
        open_collection(client, "books", chunking=wanted)
        assert made[0]["chunking"] == {"size": 100, "strategy": "markdown"}
        open_collection(client, "books", chunking=wanted)
        with pytest.raises(ConfigurationError, match="has the chunking size 100"):
            open_collection(client, "books", chunking=choose_chunking(200, None, None, None))
    assert len(made) == 1
