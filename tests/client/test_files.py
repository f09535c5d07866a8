"""The client's calls about files, against the service."""

from uuid import UUID

import pytest

from ragstore.client import Client
from ragstore.client.faults import RagstoreClientError
from ragstore.collection.schemas import ChunkingUpdate, CollectionCreate
from ragstore.testing import run_ragstore
from tests.parsing.samples import make_pdf


def test_files_go_up_and_come_down() -> None:
    with run_ragstore() as server, Client(server.url, server.api_key) as client:
        client.create_collection(CollectionCreate("docs"))
        content = make_pdf([[(11, "words")]])
        chunking = ChunkingUpdate(size=64, overlap=8)
        result = client.upload_file("docs", "a.pdf", content, title="T", metadata={"a": 1}, chunking=chunking)
        assert (result.status, result.key) == ("created", "a.pdf")
        assert isinstance(result.file_id, UUID)
        assert client.read_file(result.file_id).size == len(content)
        assert client.download_file(result.file_id) == content
        results = client.upload_files("docs", [("b.txt", b"bees"), ("c.txt", b"seas")], wait=True)
        assert [one.status for one in results] == ["created", "created"]
        with pytest.raises(RagstoreClientError) as refused:
            client.upload_file("docs", "d.txt", b"")
        assert refused.value.status == 422
