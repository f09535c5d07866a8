import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import ragstore
from ragstore.chat.schemas import MessageCreate, SessionCreate
from ragstore.client import Client, RagstoreClientError
from ragstore.errors import ConfigurationError
from ragstore.ingestion.schemas import DocumentUpsert
from ragstore.settings import Settings
from ragstore.store import Store
from tests.cli.processes import environment

PAGE = Path(__file__).parents[2] / "docs" / "notebook.md"
SMALL = Settings(memory_mb=256)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "data"


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[Store]:
    with ragstore.open(folder, settings=SMALL) as store:
        yield store


def test_a_store_does_what_the_service_does(store: Store) -> None:
    assert isinstance(store, Client)
    store.ensure_collection("notes")
    results = store.upsert_documents("notes", [DocumentUpsert(key="a", content="Trains are booked in second class.")])
    assert [one.status for one in results.results] == ["created"]
    assert store.search("notes", "travel by train").hits[0].document_key == "a"
    session = store.open_session(SessionCreate(key="s"))
    store.append_messages(session.id, [MessageCreate("user", "hello")])
    assert [one.content for one in store.list_openai_messages(session.id)] == ["hello"]
    assert store.health() == "ok"


def test_refusals_are_those_of_the_client(store: Store) -> None:
    with pytest.raises(RagstoreClientError) as refusal:
        store.read_collection("nowhere")
    assert refusal.value.status == 404
    assert refusal.value.type == "urn:ragstore:error:not-found"


async def test_a_store_works_inside_a_running_loop(folder: Path, store: Store) -> None:
    with ragstore.open(folder, settings=SMALL) as second:  # as a notebook's cell does, and beside the first
        second.ensure_collection("from-a-loop")
    assert "from-a-loop" in {one.name for one in store.list_collections()}
    await asyncio.sleep(0)


def test_threads_share_a_store(store: Store) -> None:
    store.ensure_collection("shared")

    def write(number: int) -> None:
        store.upsert_documents("shared", [DocumentUpsert(key=str(number), content=f"text {number}")])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(store.list_documents("shared"))) == 8


def test_what_was_stored_is_there_after_opening_again(tmp_path: Path) -> None:
    for number in range(2):
        with closing(ragstore.open(tmp_path / "data", settings=SMALL)) as store:
            assert [one.name for one in store.list_collections()] == ["kept"][:number]
            store.ensure_collection("kept")
    store.close()  # once more does no harm
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists()


def test_a_directory_that_cannot_be_used_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="data directory"):
        ragstore.open(tmp_path / "file", settings=SMALL)


def run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=90, check=False
    )


def test_the_example_of_the_page_runs_as_printed(tmp_path: Path) -> None:
    example = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    done = run(tmp_path, example)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("leave.md Everyone has thirty days")
    assert "How many days off" in done.stdout


def test_a_store_somebody_forgot_ends_with_the_interpreter(tmp_path: Path) -> None:
    done = run(tmp_path, "import ragstore; store = ragstore.open('data'); print(store.health())")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists()


def test_importing_ragstore_needs_nothing_but_the_standard_library() -> None:
    program = (
        "import sys, ragstore\n"
        "print({name.split('.')[0] for name in sys.modules} - {*sys.stdlib_module_names, '__main__'})\n"
    )
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'ragstore'}"


def test_documents_are_stored_later_and_waited_for(store: Store) -> None:
    store.ensure_collection("later")
    accepted = store.upsert_documents("later", [DocumentUpsert(key="a", content="Ships sail.")], wait=False)
    assert [one.status for one in accepted.results] == ["accepted"]
    assert accepted.job is not None
    job = store.wait_for_job(accepted.job.id, timeout=30)
    assert (job.state, job.result and job.result["created"]) == ("succeeded", 1)
    assert store.read_job(job.id) == job
    assert store.search("later", "ships").hits[0].document_key == "a"
    with pytest.raises(RagstoreClientError, match="Only a failed"):
        store.retry_job(job.id)


def test_a_job_that_does_not_end_is_not_waited_for_longer_than_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = store.upsert_documents("later", [DocumentUpsert(key="b", content="Boats too.")], wait=False)
    assert accepted.job is not None
    queued = accepted.job
    monkeypatch.setattr(type(store), "read_job", lambda self, job_id: queued)
    with pytest.raises(RagstoreClientError, match="still queued after"):
        store.wait_for_job(queued.id, timeout=0.3)
