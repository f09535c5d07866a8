"""Collections with many codes, transactions that keep a build from going on, and what the catalogue says."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from ragstore.app import make_index_handler
from ragstore.collection.indexing import INDEX, request_index
from ragstore.database import Database
from ragstore.index.handler import IndexHandler
from ragstore.index.queries import IndexKey
from tests.conftest import make_settings
from tests.job.kit import Queue, wait_until

# SHA-256 six times over: 1,536 bits that look random and are the same in every run.
CODE = " || ".join(f"sha256(convert_to(n || '-{part}', 'UTF8'))" for part in range(6))
FILL = f"""
WITH made AS (
    INSERT INTO document
        (tenant_id, id, collection_id, key, content, content_digest, record_digest, version, chunk_count)
    VALUES (:tenant_id, gen_random_uuid(), :collection_id, gen_random_uuid()::text, 'x', '', '', 1, :count)
    RETURNING id
), chunks AS (
    INSERT INTO chunk
        (tenant_id, id, collection_id, document_id, ordinal, content, start_offset, end_offset, token_count)
    SELECT :tenant_id, gen_random_uuid(), :collection_id, made.id, n, 'x', 0, 1, 1
    FROM made, generate_series(0, :count - 1) n
    RETURNING id, document_id, ordinal AS n
), embeddings AS (
    INSERT INTO embedding (tenant_id, chunk_id, model_id, collection_id, document_id, vector, code)
    SELECT :tenant_id, id, :model_id, :collection_id, document_id, array_fill(1::real, ARRAY[1536])::vector,
           ('x' || encode({CODE}, 'hex'))::bit(1536)
    FROM chunks
)
UPDATE collection SET chunk_count = chunk_count + :count WHERE tenant_id = :tenant_id AND id = :collection_id
"""
COLLECTION = """
    INSERT INTO collection (tenant_id, id, name, model_id, chunk_size, chunk_overlap, language, index_mode)
    VALUES (:tenant_id, :collection_id, :name, 1, 512, 64, 'english', :mode)
"""
MODEL = """
    INSERT INTO embedding_model (tenant_id, id, name, code_version) VALUES (:tenant_id, 1, 'local', 1)
    ON CONFLICT DO NOTHING
"""
FOUND = """
    SELECT c.oid, i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname = :name
"""
BUILDS = "SELECT pid, phase FROM pg_stat_progress_create_index WHERE datname = current_database()"


async def add_collection(
    queue: Queue, count: int = 0, *, name: str = "docs", mode: str = "auto", tenant_id: uuid.UUID | None = None
) -> IndexKey:
    key = IndexKey(tenant_id or queue.tenant_id, uuid.uuid4(), 1)
    await queue.ask(MODEL, tenant_id=key.tenant_id)
    given: dict[str, Any] = {"tenant_id": key.tenant_id, "collection_id": key.collection_id}
    await queue.ask(COLLECTION, name=name, mode=mode, **given)
    if count:
        await queue.ask(FILL, count=count, model_id=key.model_id, **given)
    return key


async def add_job(queue: Queue, key: IndexKey) -> uuid.UUID:
    async with queue.app.transaction(key.tenant_id) as session:
        return await request_index(session, key.tenant_id, key.collection_id, key.model_id)


def make_handler(queue: Queue, threshold: int = 100) -> IndexHandler:
    """As the service makes it, but in a hurry."""
    handler = make_index_handler(make_settings(queue.url, index_threshold=threshold, index_build_quiet=0), queue.url)
    handler.options = replace(handler.options, poll=0.02, pause=0.05)
    return handler


@asynccontextmanager
async def working(queue: Queue, threshold: int = 100) -> AsyncIterator[None]:
    async with queue.working(handlers={INDEX: make_handler(queue, threshold).run}, retry_delay=0.05):
        yield


async def run_job(queue: Queue, key: IndexKey, threshold: int = 100) -> Any:
    job_id = await add_job(queue, key)
    async with working(queue, threshold):
        return (await queue.wait_for(job_id, "succeeded")).result


async def find(queue: Queue, key: IndexKey) -> Any:
    rows = await queue.ask(FOUND, name=key.name)
    return rows[0] if rows else None


async def is_valid(queue: Queue, key: IndexKey) -> bool:
    found = await find(queue, key)
    return found is not None and found.valid


@asynccontextmanager
async def held_up(owner: Database) -> AsyncIterator[None]:
    """Somebody writes: a build that begins now waits for that transaction's end, its index invalid until then."""
    async with owner.engine.connect() as connection:
        await connection.execute(text("LOCK TABLE embedding IN ROW EXCLUSIVE MODE"))
        yield
        await connection.rollback()


async def wait_for_build(queue: Queue) -> int:
    """Until a build waits for a writer; answers its process."""

    async def there() -> bool:
        return any("waiting for writers" in row.phase for row in await queue.ask(BUILDS))

    await wait_until(there)
    return int((await queue.ask(BUILDS))[0].pid)


async def leave_invalid(queue: Queue, key: IndexKey, writer: Database) -> None:
    """What a build leaves that is broken off."""
    statement = (
        f"CREATE INDEX CONCURRENTLY {key.name} ON embedding USING hnsw (code bit_hamming_ops)"
        f" WHERE tenant_id = '{key.tenant_id}' AND collection_id = '{key.collection_id}' AND model_id = '1'::smallint"
    )
    async with held_up(writer), queue.owner.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("SET statement_timeout = '300ms'"))
        try:
            await connection.execute(text(statement))
        except Exception as error:
            assert "statement timeout" in str(error)  # noqa: PT017
        await connection.execute(text("RESET statement_timeout"))
    found = await find(queue, key)
    assert found is not None
    assert not found.valid
