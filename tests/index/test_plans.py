"""What Postgres does with the index, asked as the service asks: its role, behind row-level security, prepared."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text

from ragstore.app import create_app
from ragstore.index.queries import IndexKey
from tests.builders import search
from tests.conftest import make_settings, running
from tests.index.kit import add_collection, run_job
from tests.job.kit import Queue

CHUNKS = 3000
TIMES = 7  # after five executions Postgres may prefer a plan for any parameters, which cannot use a partial index
NEAREST = """
    PREPARE nearest (uuid, uuid, smallint, bit) AS SELECT chunk_id FROM embedding e
    WHERE e.tenant_id = $1 AND e.collection_id = $2 AND e.model_id = $3 ORDER BY {order} LIMIT 200
"""
BY_INDEX, BY_SCAN = "e.code <~> $4", "(e.code <~> $4) + 0"


@pytest.fixture
async def key(queue: Queue) -> IndexKey:
    key = await add_collection(queue, CHUNKS)
    await run_job(queue, key, threshold=CHUNKS)
    await queue.ask("VACUUM (ANALYZE) embedding")
    return key


@asynccontextmanager
async def prepared(queue: Queue, order: str) -> AsyncIterator[Any]:
    async with queue.app.transaction(queue.tenant_id, plan="custom") as session:
        connection = await session.connection()
        try:
            await connection.execute(text(NEAREST.format(order=order)))
            yield connection
        finally:
            await connection.execute(text("DEALLOCATE nearest"))


async def execute(connection: Any, key: IndexKey, explain: bool = False) -> list[Any]:
    code = "10" * 768
    given = f"'{key.tenant_id}', '{key.collection_id}', '{key.model_id}', B'{code}'"
    statement = f"EXECUTE nearest ({given})"
    rows = await connection.execute(text(f"EXPLAIN (COSTS OFF) {statement}" if explain else statement))
    return list(rows.scalars())


async def explain(queue: Queue, key: IndexKey, order: str, *settings: str) -> tuple[str, int]:
    """The plan at last, and how many rows there were at least."""
    async with prepared(queue, order) as connection:
        for setting in settings:
            await connection.execute(text(setting))
        least = min([len(await execute(connection, key)) for _ in range(TIMES)])
        return "\n".join(await execute(connection, key, explain=True)), least


async def test_ordered_by_distance_a_prepared_statement_uses_the_index(queue: Queue, key: IndexKey) -> None:
    plan, rows = await explain(queue, key, BY_INDEX)
    assert f"Index Scan using {key.name}" in plan
    assert rows < 200, "without iterative scan the index answers ef_search rows"


async def test_with_an_iterative_scan_it_answers_as_many_rows_as_were_asked_for(queue: Queue, key: IndexKey) -> None:
    plan, rows = await explain(queue, key, BY_INDEX, "SET LOCAL hnsw.iterative_scan = relaxed_order")
    assert f"Index Scan using {key.name}" in plan
    assert rows == 200


async def test_ordered_by_distance_plus_nothing_it_reads_all_codes(queue: Queue, key: IndexKey) -> None:
    plan, rows = await explain(queue, key, BY_SCAN)
    assert "Index Only Scan using ix_embedding_code" in plan
    assert key.name not in plan
    assert rows == 200


async def test_the_index_of_one_collection_is_not_used_for_another(queue: Queue, key: IndexKey) -> None:
    other = await add_collection(queue, CHUNKS, name="other")
    await queue.ask("VACUUM (ANALYZE) embedding")
    plan, rows = await explain(queue, other, BY_INDEX)
    assert key.name not in plan
    assert rows == 200


async def test_the_index_finds_what_the_scan_finds(queue: Queue, key: IndexKey) -> None:
    """Random codes are the hardest case there is: nothing is near anything."""

    async def ask(order: str) -> list[uuid.UUID]:
        async with prepared(queue, order) as connection:
            await connection.execute(text("SET LOCAL hnsw.ef_search = 1000"))
            return await execute(connection, key)

    found, exact = set(await ask(BY_INDEX)), set(await ask(BY_SCAN))
    assert len(found & exact) >= 150


async def test_a_search_is_complete_though_there_is_an_index(queue: Queue, key: IndexKey) -> None:
    """The index alone would give 40 candidates."""
    app = create_app(make_settings(queue.url, run_jobs=False))
    async with running(app) as client:
        for _ in range(TIMES):
            assert len(await search(client, vector=[1.0] * 1536, top_k=60)) == 60
