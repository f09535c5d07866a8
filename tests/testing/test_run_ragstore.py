import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest

from ragstore.client import Client, RagstoreClientError
from ragstore.ingestion.schemas import DocumentUpsert
from ragstore.testing import RagstoreServer, run_server

SLOWEST_STORE = 1.0  # 30 ms here; it only has to be far below a service's start


@pytest.fixture(scope="module")
def server() -> Iterator[RagstoreServer]:
    with run_server({"RAGSTORE_LOG_LEVEL": "error"}) as server:
        yield server


def test_each_store_is_empty_and_sees_nothing_of_another(server: RagstoreServer) -> None:
    with server.fresh_store() as one, server.fresh_store() as other:
        one.client.ensure_collection("mine")
        one.client.upsert_documents("mine", [DocumentUpsert(key="a", content="A secret of the first.")])
        assert list(other.client.list_collections()) == []
        with pytest.raises(RagstoreClientError) as refusal:
            other.client.search("mine", "secret")
        assert refusal.value.status == 404
        assert one.client.search("mine", "secret").hits[0].document_key == "a"


def test_the_address_and_key_work_for_any_client(server: RagstoreServer) -> None:
    with server.fresh_store() as store, Client(store.url, store.api_key) as client:
        assert client.ensure_collection("x").name == "x"
        assert store.api_key not in repr(store)
        assert httpx.get(f"{store.url}/v1/collections", trust_env=False).status_code == 401


def test_vectors_come_from_the_local_model(server: RagstoreServer) -> None:
    with server.fresh_store() as store:
        assert store.client.ensure_collection("x").embedding_model == "local"


def test_a_further_store_takes_milliseconds(server: RagstoreServer) -> None:
    begun = time.perf_counter()
    with server.fresh_store():
        assert time.perf_counter() - begun < SLOWEST_STORE


async def test_stores_can_be_asked_for_inside_a_running_loop(server: RagstoreServer) -> None:
    with server.fresh_store() as store:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {store.api_key}"}, trust_env=False) as client:
            answers = await asyncio.gather(*(client.get(f"{store.url}/v1/collections") for _ in range(3)))
        assert [one.status_code for one in answers] == [200, 200, 200]


def test_the_machines_own_settings_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-tests")
    monkeypatch.setenv("RAGSTORE_MAX_BODY_BYTES", "1024")
    with run_server() as server, server.fresh_store() as store:
        assert store.client.ensure_collection("x").embedding_model == "local"
        store.client.upsert_documents("x", [DocumentUpsert(content="words " * 1000)])
