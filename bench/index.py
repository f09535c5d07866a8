"""What the index of a large collection costs and gives, on codes made here.

    python -m bench.index [--rows 10000 50000 100000] [--memory-mb 512] [--workers 0]

Codes are noisy copies (a quarter of the bits flipped) of as many centres as a hundredth of the rows, which is about as
near as neighbours are in text; queries are noisy copies too. Vectors are all the same: nothing here reads them. Recall
is the share of the 40 nearest codes by a complete scan that the index gives among its 40.
"""

import argparse
import asyncio
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray

from bench.measure import describe
from ragstore.columns import register_codecs
from ragstore.database import Database
from ragstore.embedded import start_embedded
from ragstore.index import queries
from ragstore.index.queries import IndexKey
from ragstore.migrate import migrate
from ragstore.roles import Roles
from ragstore.settings import Settings

QUERIES = 200
NEAREST = 40
BATCH = 5000
MORE = 1000  # rows inserted before the build, and after it, to see what the index costs them
FILL = """
    WITH made AS (
        INSERT INTO document
            (tenant_id, id, collection_id, key, content, content_digest, record_digest, version, chunk_count)
        VALUES ($1, gen_random_uuid(), $2, gen_random_uuid()::text, '', '', '', 1, 0) RETURNING id
    ), chunks AS (
        INSERT INTO chunk
            (tenant_id, id, collection_id, document_id, ordinal, content, start_offset, end_offset, token_count)
        SELECT $1, gen_random_uuid(), $2, made.id, n, '', 0, 0, 0
        FROM made, generate_series(1, cardinality($3::bytea[])) n
        RETURNING id, document_id, ordinal
    )
    INSERT INTO embedding (tenant_id, chunk_id, model_id, collection_id, document_id, vector, code)
    SELECT $1, id, 1, $2, document_id, array_fill(1::real, ARRAY[1536])::vector,
           ('x' || encode(($3::bytea[])[ordinal], 'hex'))::bit(1536)
    FROM chunks
"""
ASK = """
    SELECT e.code <~> $1 FROM embedding e WHERE e.tenant_id = '{0}' AND e.collection_id = '{1}'
    AND e.model_id = '1'::smallint ORDER BY {2} LIMIT 40
"""
BY_INDEX, BY_SCAN = "e.code <~> $1", "(e.code <~> $1) + 0"


def make_codes(random: np.random.Generator, centres: NDArray[np.uint8], rows: int) -> list[bytes]:
    noise = random.integers(0, 256, (2, rows, centres.shape[1]), dtype=np.uint8)
    codes = centres[random.integers(0, len(centres), rows)] ^ noise[0] & noise[1]
    return [one.tobytes() for one in codes]


async def fill(connection: Any, key: IndexKey, codes: list[bytes]) -> None:
    given = (key.tenant_id, key.collection_id)
    await connection.execute("INSERT INTO tenant (id, name) VALUES ($1, 'bench') ON CONFLICT DO NOTHING", given[0])
    await connection.execute(
        "INSERT INTO embedding_model (tenant_id, id, name, code_version) VALUES ($1, 1, 'bench', 1)"
        " ON CONFLICT DO NOTHING",
        given[0],
    )
    await connection.execute(
        "INSERT INTO collection (tenant_id, id, name, model_id, chunk_size, chunk_overlap, language)"
        " VALUES ($1, $2, $2::uuid::text, 1, 512, 64, 'simple')",
        *given,
    )
    for first in range(0, len(codes), BATCH):
        await connection.execute(FILL, *given, codes[first : first + BATCH])


async def ask(connection: Any, key: IndexKey, order: str, codes: list[bytes]) -> tuple[list[list[float]], list[float]]:
    """The distances of each answer, and the seconds it took."""
    statement = await connection.prepare(ASK.format(key.tenant_id, key.collection_id, order))
    answers, seconds = [], []
    for code in codes[:5] + codes:
        started = time.perf_counter()
        rows = await statement.fetch(code)
        seconds.append(time.perf_counter() - started)
        answers.append([row[0] for row in rows])
    return answers[5:], seconds[5:]


async def time_insert(connection: Any, key: IndexKey, codes: list[bytes]) -> float:
    """Milliseconds a row."""
    started = time.perf_counter()
    await connection.execute(FILL, key.tenant_id, key.collection_id, codes)
    return (time.perf_counter() - started) * 1000 / len(codes)


async def measure_size(connection: Any, key: IndexKey, rows: int, options: argparse.Namespace) -> None:
    random = np.random.default_rng(rows)
    centres = random.integers(0, 256, (max(rows // 100, 1), 192), dtype=np.uint8)
    await fill(connection, key, make_codes(random, centres, rows))
    without = await time_insert(connection, key, make_codes(random, centres, MORE))
    await connection.execute("VACUUM (ANALYZE) embedding")
    await queries.prepare_build(connection, options.memory_mb, options.workers)
    started = time.perf_counter()
    await queries.build_index(connection, key)
    seconds = time.perf_counter() - started
    found = await queries.find_own_index(connection, key.name)
    assert found is not None
    rows += MORE
    print(f"{rows:7} rows: built in {seconds:.1f} s ({rows / seconds:.0f}/s), {found.bytes / rows:.0f} bytes a row")
    codes = make_codes(random, centres, QUERIES)
    exact, scanned = await ask(connection, key, BY_SCAN, codes)
    print("  ", describe("complete scan of the codes", scanned))
    for width in (40, 100, 200):
        await connection.execute(f"SET hnsw.ef_search = {width}")
        given, searched = await ask(connection, key, BY_INDEX, codes)
        good = sum(sum(one <= max(true) for one in got) for got, true in zip(given, exact, strict=True))
        recall = good / (NEAREST * len(exact))  # of equally near codes any will do
        print("  ", describe(f"index, ef_search {width}, recall {recall:.3f}", searched))
    upkeep = await time_insert(connection, key, make_codes(random, centres, MORE))
    print(f"   a row inserted: {without:.2f} ms without the index, {upkeep:.2f} ms with it")


async def measure(url: str, options: argparse.Namespace) -> None:
    database = Database.connect(url, Settings.model_validate({"database_url": url}))
    await migrate(database, Roles("ragstore_app"))
    await database.close()
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await register_codecs(connection)
    for setting in ("jit = off", "max_parallel_workers_per_gather = 0"):
        await connection.execute(f"SET {setting}")
    tenant_id = uuid.uuid4()
    for rows in options.rows:
        await measure_size(connection, IndexKey(tenant_id, uuid.uuid4(), 1), rows, options)
    await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 50_000, 100_000])
    parser.add_argument("--memory-mb", type=int, default=512)
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ragstore-bench-") as folder, start_embedded(Path(folder)) as server:
        asyncio.run(measure(server.url, options))


if __name__ == "__main__":
    main()
