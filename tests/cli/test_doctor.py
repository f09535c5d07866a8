"""`ragstore doctor` beside a running service, as a person and as a machine read it."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from ragstore.cli import app
from ragstore.client import Client
from ragstore.ingestion.schemas import DocumentUpsert
from ragstore.testing.server import FreshStore, RagstoreServer, run_server
from tests.cli.test_commands import runner
from tests.recall.test_routes import MIX_CODES, TEXTS

__all__ = ["runner"]


@pytest.fixture(scope="module")
def server() -> Iterator[RagstoreServer]:
    with run_server() as server:
        yield server


@pytest.fixture
def store(server: RagstoreServer, runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> Iterator[FreshStore]:
    """The service that the command finds."""
    with server.fresh_store() as store:
        monkeypatch.setenv("RAGSTORE_URL", store.url)
        monkeypatch.setenv("RAGSTORE_API_KEY", store.api_key)
        yield store


def fill(client: Client, name: str = "docs", texts: list[str] = TEXTS) -> None:
    client.ensure_collection(name)
    client.upsert_documents(name, [DocumentUpsert(content=one, key=one) for one in texts], wait=True)


def run_as_owner(server: RagstoreServer, statement: str) -> None:
    async def run() -> None:
        async with server.database.transaction() as session:
            await (await session.connection()).execute(text(statement))

    server.background.run(run())


def levels_of(result: Result) -> dict[tuple[str | None, str], str]:
    return {(one["about"], one["check"]): one["level"] for one in read(result)["checks"]}


def read(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(result.stdout)
    return found


def test_a_healthy_service(runner: CliRunner, store: FreshStore) -> None:
    fill(store.client)
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "collection docs" in result.stdout
    assert "recall@10 1.000" in result.stdout
    assert store.url in result.stdout
    assert "wrong, " not in lines[-1] or lines[-1].startswith("0 wrong")


def test_a_healthy_service_for_machines(runner: CliRunner, store: FreshStore) -> None:
    fill(store.client)
    result = runner.invoke(app, ["doctor", "--json"])
    found = read(result)
    assert (result.exit_code, found["healthy"], found["url"]) == (0, True, store.url)
    assert levels_of(result)["docs", "recall"] == "ok"
    assert found["recall"]["docs"]["plans"][0]["low"] > 0.95
    assert found["service"]["database"]["server"]


def test_codes_that_say_nothing_are_wrong(runner: CliRunner, store: FreshStore, server: RagstoreServer) -> None:
    """Enough passages that the candidates are not all of them."""
    fill(store.client, texts=[f"{one} {number}" for one in TEXTS for number in range(3)][:1000])
    run_as_owner(server, MIX_CODES)
    result = runner.invoke(app, ["doctor", "--collection", "docs"])
    assert result.exit_code == 1
    assert "RAGSTORE_SEARCH_CANDIDATES" in result.stdout.replace("\n", "")
    assert result.stdout.splitlines()[-1].startswith("1 wrong")
    machine = runner.invoke(app, ["doctor", "--json"])
    assert (machine.exit_code, read(machine)["healthy"]) == (1, False)
    assert levels_of(machine)["docs", "recall"] == "wrong"


def test_what_is_asked_for_is_all_that_is_done(runner: CliRunner, store: FreshStore) -> None:
    fill(store.client, "one", TEXTS[:50])
    fill(store.client, "two", TEXTS[:50])
    everything = runner.invoke(app, ["doctor", "--json", "--samples", "3"])
    assert {name: one["sampled"] for name, one in read(everything)["recall"].items()} == {"one": 3, "two": 3}
    one = runner.invoke(app, ["doctor", "--json", "--collection", "one", "--no-recall"])
    assert {about for about, _ in levels_of(one)} == {None, "one"}
    assert read(one)["recall"] == {}


def test_a_collection_that_is_not_there_is_wrong(runner: CliRunner, store: FreshStore) -> None:
    result = runner.invoke(app, ["doctor", "--json", "--collection", "nothing"])
    assert result.exit_code == 1
    assert levels_of(result)["nothing", "collections"] == "wrong"


@pytest.mark.parametrize("json", [[], ["--json"]], ids=["terminal", "json"])
@pytest.mark.parametrize("url", ["http://127.0.0.1:1", None])
def test_a_service_that_is_not_there_is_wrong(
    runner: CliRunner,
    monkeypatch: pytest.MonkeyPatch,
    url: str | None,
    json: list[str],
) -> None:
    if url:
        monkeypatch.setenv("RAGSTORE_URL", url)
        monkeypatch.setenv("RAGSTORE_API_KEY", "x")
    result = runner.invoke(app, ["doctor", *json])
    assert result.exit_code == 1
    if json:
        assert levels_of(result) == {(None, "service"): "wrong"}
    else:
        assert "wrong" in result.stdout
        assert (url or "ragstore serve") in result.stdout


def test_the_client_reads_a_recall(store: FreshStore) -> None:
    fill(store.client, texts=TEXTS[:60])
    report = store.client.read_recall("docs", samples=5, top_k=3, filter={"missing": {"$exists": False}}, seconds=30)
    assert (report.collection, report.top_k, report.sampled, report.plans[0].recall) == ("docs", 3, 5, 1.0)
    assert store.client.read_service_report().search_candidates == 200
