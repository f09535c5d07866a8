"""What only callers inside can ask for: another chunking, and documents that stand on files."""

import uuid
from collections.abc import AsyncIterator

import httpx
import pytest

from ragstore.collection.schemas import ChunkingUpdate
from ragstore.database import Database, TenantDatabase
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import NotFound, Unprocessable
from ragstore.file.service import FileService
from ragstore.ingestion.origins import Origin
from ragstore.ingestion.service import IngestionService
from tests.builders import make_collection
from tests.conftest import make_settings
from tests.search.stored import read_tenant_id

LONG = {"key": "a", "content": "One two three four five six seven. " * 20}


@pytest.fixture
async def service(client: httpx.AsyncClient, database: Database, database_url: str) -> AsyncIterator[IngestionService]:
    await make_collection(client)
    embedders = EmbedderRegistry(make_settings(database_url))
    yield IngestionService(TenantDatabase(database, await read_tenant_id(database)), embedders)
    await embedders.close()


async def store_file(service: IngestionService) -> uuid.UUID:
    async with service.database.transaction() as session:
        return (await FileService(session, service.database.tenant_id).store("a", "text/plain", b"x", keep=False)).id


async def is_there(service: IngestionService, file_id: uuid.UUID) -> bool:
    async with service.database.transaction() as session:
        try:
            await FileService(session, service.database.tenant_id).read(file_id)
        except NotFound:
            return False
    return True


async def test_a_chunking_of_ones_own_changes_the_collections(service: IngestionService) -> None:
    (usual,) = (await service.upsert("docs", [LONG])).results
    wanted = ChunkingUpdate(size=32, overlap=0)
    (short,) = (await service.upsert("docs", [LONG], chunking=wanted)).results
    assert (usual.chunks, short.status) == (1, "updated")
    assert short.chunks is not None
    assert short.chunks > 3
    (again,) = (await service.upsert("docs", [LONG], chunking=wanted)).results
    assert again.status == "unchanged"
    with pytest.raises(Unprocessable) as caught:
        await service.upsert("docs", [LONG], chunking=ChunkingUpdate(size=32, overlap=32))
    assert [fault.path for fault in caught.value.errors] == ["chunking.overlap"]


async def test_a_document_stands_on_the_file_it_was_read_from(service: IngestionService) -> None:
    first, second, third = [await store_file(service) for _ in range(3)]
    document = {"key": "a", "content": "text"}
    (made,) = (await service.upsert("docs", [document], origins={0: Origin(first)})).results
    (again,) = (await service.upsert("docs", [document], origins={0: Origin(second)})).results
    assert (made.status, again.status) == ("created", "unchanged")
    assert await is_there(service, first)
    await service.upsert("docs", [document | {"content": "other"}], origins={0: Origin(second)})
    assert (await is_there(service, first), await is_there(service, second)) == (False, True)
    await service.upsert("docs", [document | {"content": "other", "source": "s"}], origins={0: Origin(third)})
    assert (await is_there(service, second), await is_there(service, third)) == (False, True)
    (without,) = (await service.upsert("docs", [document | {"content": "other", "source": "s"}])).results
    assert without.status == "updated"
    assert not await is_there(service, third)


async def test_an_outline_that_differs_cuts_again(service: IngestionService) -> None:
    file_id = await store_file(service)
    document = {"key": "a", "content": "one two"}
    for pages, status in (((0, 4), "created"), ((0, 4), "unchanged"), ((0, 3), "updated")):
        (result,) = (await service.upsert("docs", [document], origins={0: Origin(file_id, pages)})).results
        assert result.status == status
