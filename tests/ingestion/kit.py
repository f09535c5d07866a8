"""A service that runs no jobs, its provider, and a worker that a test drives step by step."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from ragstore.app import create_app
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.ingestion.acceptance import INGEST
from ragstore.ingestion.handler import IngestHandler
from ragstore.job.context import ClaimedJob
from tests.builders import make_collection
from tests.conftest import make_settings, running
from tests.fake_openai import FakeOpenAI
from tests.job.kit import Queue, wait_until

DOCUMENTS = "/v1/collections/docs/documents"


@dataclass
class Workplace:
    client: httpx.AsyncClient
    queue: Queue
    fake: FakeOpenAI
    handler: IngestHandler

    async def accept(self, *documents: Any, **params: Any) -> dict[str, Any]:
        answer = await self.client.post(DOCUMENTS, json={"documents": documents}, params={"wait": False} | params)
        assert answer.status_code == 202, answer.text
        accepted: dict[str, Any] = answer.json()
        return accepted

    async def claim(self, lease: float = 30) -> ClaimedJob:
        (job,) = await self.queue.claim(kinds=(INGEST,), lease=lease)
        return job

    async def work(self, job: ClaimedJob) -> dict[str, Any]:
        """Run the claimed job's handler to its end; the job as it is then."""
        await self.handler.run(self.queue.context(job))
        return await self.read_job(str(job.id))

    async def read_job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get(f"/v1/jobs/{job_id}")).json()
        return found

    async def read_contents(self, collection: str = "docs") -> dict[str, str]:
        """By key."""
        params: dict[str, str | int] = {"include": "content", "limit": 200}
        page = (await self.client.get(f"/v1/collections/{collection}/documents", params=params)).json()
        return {one["key"]: one["content"] for one in page["items"]}

    async def wait_for_calls(self, count: int) -> None:
        """Until the provider has been asked so often."""

        async def asked() -> bool:
            return len(self.fake.calls) >= count

        await wait_until(asked)

    async def count(self, table: str) -> int:
        return int((await self.queue.ask(f"SELECT count(*) AS n FROM {table}"))[0].n)  # a test's own name


@asynccontextmanager
async def open_workplace(queue: Queue) -> AsyncIterator[Workplace]:
    fake = FakeOpenAI()
    values = {"openai_api_key": "sk-test", "openai_base_url": "http://provider/v1", "embedding_retries": 0}
    settings = make_settings(queue.url, pool_size=4, run_jobs=False, embedding_batch_texts=1000, **values)
    embedders = EmbedderRegistry(settings, transport=fake.transport())
    async with running(create_app(settings, embedders=embedders)) as client:
        await make_collection(client)
        yield Workplace(client, queue, fake, IngestHandler(embedders))


def number(count: int, **fields: Any) -> Sequence[dict[str, Any]]:
    return [{"key": f"{one}", "content": f"text {one}", **fields} for one in range(count)]
