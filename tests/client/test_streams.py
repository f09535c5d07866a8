"""Streams through a real server, and the examples of `docs/import.md` as printed."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from ragstore.client import Client, RagstoreClientError
from ragstore.collection.schemas import CollectionCreate
from ragstore.testing import FreshStore, run_ragstore

PATH = "/v1/collections/docs/documents/import"
PAGE = Path(__file__).parents[2] / "docs" / "import.md"


@pytest.fixture
def store() -> Iterator[FreshStore]:
    with run_ragstore() as store:
        store.client.create_collection(CollectionCreate("docs"))
        yield store


def make_documents(count: int) -> Iterator[dict[str, str]]:
    return ({"key": f"{number}", "content": f"text number {number}"} for number in range(count))


def test_documents_in_and_out(store: FreshStore) -> None:
    client = store.client
    results = list(client.import_documents("docs", make_documents(450)))
    assert [one.line for one in results] == list(range(1, 451))
    assert {one.status for one in results} == {"created"}
    exported = list(client.export_documents("docs"))
    assert [one.key for one in exported] == [f"{number}" for number in range(450)]
    assert [chunk.content for one in exported for chunk in one.chunks] == [one.content for one in exported]
    assert isinstance(exported[0].chunks[0].vector, str)
    (one,) = client.export_documents("docs", vectors=False, filter={"@key": "7"})
    assert one.chunks[0].vector is msgspec.UNSET


def test_a_name_goes_on_and_tells_how_far(store: FreshStore) -> None:
    list(store.client.import_documents("docs", make_documents(3), name="mine"))
    assert store.client.read_import("docs", "mine").lines == 3
    (result,) = store.client.import_documents("docs", make_documents(4), name="mine")
    assert (result.line, result.key) == (4, "3")
    with pytest.raises(RagstoreClientError, match="a name of its own") as refused:
        list(store.client.import_documents("docs", make_documents(2), name="mine"))
    assert refused.value.status == 422


def test_a_refusal_before_the_body_is_one(store: FreshStore) -> None:
    with pytest.raises(RagstoreClientError, match="no collection named") as refused:
        list(store.client.import_documents("none", make_documents(20_000)))
    assert refused.value.status == 404


def test_answers_larger_than_any_buffer_wait_for_a_client_that_only_sends(store: FreshStore) -> None:
    """30 MB of answers, of which nothing is read before everything is sent: neither side may wait for the other."""
    bad = ({"key": f"{number}" + "k" * 1000, "content": "x", "title": 1} for number in range(25_000))
    failed = sum(one.status == "failed" for one in store.client.import_documents("docs", bad))
    assert failed == 25_000


def connect(store: FreshStore, query: str, *headers: str) -> socket.socket:
    where = urlsplit(store.url)
    connection = socket.create_connection((where.hostname, where.port), timeout=20)
    given = [f"Authorization: Bearer {store.api_key}", "Host: ragstore", *headers]
    connection.sendall("\r\n".join([f"POST {PATH}{query} HTTP/1.1", *given, "", ""]).encode())
    return connection


def chunk(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def wait_for_lines(client: Client, name: str, lines: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if client.read_import("docs", name).lines == lines:
                return
        except RagstoreClientError:
            pass
        time.sleep(0.05)
    raise AssertionError("it did not come so far")


def test_an_answer_comes_while_the_body_goes_on(store: FreshStore) -> None:
    with connect(store, "", "Transfer-Encoding: chunked") as connection:
        for number in range(1, 4):
            connection.sendall(chunk(b'{"key": "%d", "content": "text"}\n' % number))
            heard = b""
            while f'"line":{number}'.encode() not in heard:
                piece = connection.recv(65536)
                assert piece, heard
                heard += piece


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Content-Length: 100000"])
def test_half_a_line_is_not_taken_for_one(store: FreshStore, framing: str) -> None:
    """The server tells the application of a broken body and of a whole one alike."""
    first, half = b'{"key": "a", "content": "one"}\n', b'{"key": "b", "content": "tw'
    with connect(store, "?import=mine", framing) as connection:
        connection.sendall(chunk(first + half) if "chunked" in framing else first + half)
        wait_for_lines(store.client, "mine", 1)
    body = first + b'{"key": "b", "content": "two"}\n'
    answer = httpx.post(
        store.url + PATH + "?import=mine",
        content=body,
        headers={"Authorization": f"Bearer {store.api_key}", "Content-Type": "application/x-ndjson"},
    )
    assert [msgspec.json.decode(line).get("key") for line in answer.text.splitlines()] == [None, "b", None]


def test_every_example_of_the_page_works_as_printed(tmp_path: Path) -> None:
    script = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL))
    assert script.count("api ") == 6
    with run_ragstore() as store:
        environment = {"PATH": os.environ["PATH"], "URL": store.url, "KEY": store.api_key}
        done = subprocess.run(
            ["bash", "-eu", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        (python,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
        exec(compile(python, PAGE, "exec"), {"url": store.url, "key": store.api_key})  # the page's own lines
        assert store.client.read_collection("handbook").document_count == 1002
    answers = [msgspec.json.decode(line) for line in done.stdout.replace("}{", "}\n{").splitlines()]
    statuses = [one.get("status") or one.get("done") or one.get("resumed_after") or one["name"] for one in answers]
    assert statuses == ["handbook", "created", "failed", "created", True, "monday", 4, True]
    exported = (tmp_path / "handbook.jsonl").read_text().splitlines()
    assert len(exported) == 4
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 4
