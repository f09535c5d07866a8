"""A service whose provider has models of two widths, and what the database says of their vectors."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from litestar import Litestar
from sqlalchemy import text

from ragstore.app import create_app
from ragstore.database import Database
from ragstore.embedding.registry import EmbedderRegistry
from tests.conftest import make_settings, running
from tests.fake_openai import FakeOpenAI

OLD, NEW = "text-embedding-3-small", "narrow"  # 1536 numbers, and as many as the fake's width
ADDRESS = "/v1/collections/docs/reembed"
COUNTS = """
    SELECT m.name, count(*) AS vectors FROM embedding e
    JOIN embedding_model m ON m.tenant_id = e.tenant_id AND m.id = e.model_id GROUP BY 1
"""
GAPS = """
    SELECT count(*) FROM chunk c JOIN embedding_model m ON m.tenant_id = c.tenant_id AND m.name = :model
    WHERE NOT EXISTS (SELECT FROM embedding e WHERE e.tenant_id = c.tenant_id AND e.chunk_id = c.id
        AND e.model_id = m.id)
"""


def make_app(database_url: str, fake: FakeOpenAI, **values: Any) -> Litestar:
    given = {
        "openai_api_key": "sk-test",
        "openai_base_url": "http://provider/v1",
        "embedding_retries": 0,
        "old_vectors_grace": 0,
        "job_retry_delay": 0.05,
        "pool_size": 5,
        "max_overflow": 10,
    }
    settings = make_settings(database_url, **given | values)
    return create_app(settings, embedders=EmbedderRegistry(settings, transport=fake.transport()))


@asynccontextmanager
async def serving(database_url: str, fake: FakeOpenAI, **values: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with running(make_app(database_url, fake, **values)) as client:
        yield client


def documents(first: int, last: int) -> list[dict[str, str]]:
    return [
        {"key": f"{number}", "title": f"No. {number}", "content": f"all about the number {number}"}
        for number in range(first, last)
    ]


async def call(client: httpx.AsyncClient, method: str = "GET", step: str = "", **body: Any) -> dict[str, Any]:
    address = f"{ADDRESS}/{step}" if step else ADDRESS
    response = await client.request(method, address, json=body or None)
    assert response.status_code in (200, 202), response.text
    found: dict[str, Any] = response.json()
    return found


async def wait_for(client: httpx.AsyncClient, *states: str, seconds: float = 30) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while (status := await call(client))["state"] not in states:
        assert time.monotonic() < deadline, status
        await asyncio.sleep(0.03)
    return status


async def ask(database: Database, statement: str, **given: Any) -> Sequence[Any]:
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        result = await connection.execute(text(statement), given)
        return result.all() if result.returns_rows else []


async def count_vectors(database: Database) -> dict[str, int]:
    return {row.name: row.vectors for row in await ask(database, COUNTS)}


async def count_gaps(database: Database, model: str) -> int:
    return int((await ask(database, GAPS, model=model))[0][0])


async def read_model(client: httpx.AsyncClient) -> str:
    return str((await client.get("/v1/collections/docs")).json()["embedding_model"])
