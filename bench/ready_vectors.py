"""Documents with ready vectors over HTTP, against the same rows written by asyncpg and against langchain-postgres.

    python -m bench.ready_vectors [--count 10000] [--batch 1000] [--others 1000]

Each document is a line of text with 1536 numbers in base64. asyncpg then writes the very rows that the service wrote,
under other ids, into the same tables with the same indexes and walls, one transaction a batch; it makes no codes, no
words, no digests. langchain-postgres (`PGVectorStore.aadd_embeddings`, a table of its own without any index) is
measured where it is installed: `pip install langchain-postgres` in an environment that has ragstore too.
"""

import argparse
import asyncio
import base64
import http.client
import json
import time
import uuid
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from bench.measure import Bench, Caller, run_bench
from bench.stored_vectors import connect
from ragstore.columns import new_id
from ragstore.settings import Settings

WIDTH = 1536
TABLES = {  # with the columns that say which document and which passage a row belongs to
    "document": ("id",),
    "chunk": ("document_id", "id"),
    "embedding": ("document_id", "chunk_id"),
    "passage_terms": ("document_id", "chunk_id"),
    "metadata_entry": ("document_id",),
}
COUNT = "UPDATE collection SET document_count = document_count + $2, chunk_count = chunk_count + $2 WHERE id = $1"
Rows = dict[str, list[list[Any]]]


def draw_bodies(count: int, batch: int) -> list[bytes]:
    vectors = np.random.default_rng(1).normal(size=(count, WIDTH)).astype("<f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    documents = [
        {
            "key": f"document {number}",
            "content": f"Line {number} of a text that says little more than its own number, {number * 7919 % 1009}.",
            "metadata": {"number": number % 100},
            "vector": base64.b64encode(vector.tobytes()).decode(),
        }
        for number, vector in enumerate(vectors)
    ]
    return [json.dumps({"documents": documents[start : start + batch]}).encode() for start in range(0, count, batch)]


def post_bodies(bench: Bench, name: str, bodies: Sequence[bytes]) -> float:
    """Seconds, one client."""
    parts = urlsplit(bench.address.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=600)
    headers = {"Authorization": f"Bearer {bench.address.api_key}", "Content-Type": "application/json"}
    started = time.perf_counter()
    for body in bodies:
        connection.request("POST", f"/v1/collections/{name}/documents?wait=true", body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200 or b'"failed"' in answer:
            raise SystemExit(answer[:500].decode())
    return time.perf_counter() - started


async def read_rows(connection: Any, collection_id: uuid.UUID) -> tuple[dict[str, list[str]], Rows]:
    """Columns and rows of each table, in the order of their documents."""
    columns, rows = {}, {}
    for table in TABLES:
        statement = f"SELECT * FROM {table} WHERE collection_id = $1 ORDER BY {TABLES[table][0]}"
        found = await connection.fetch(statement, collection_id)
        columns[table], rows[table] = list(found[0].keys()), [list(row.values()) for row in found]
    return columns, rows


def move_rows(columns: dict[str, list[str]], rows: Rows, collection_id: uuid.UUID) -> None:
    """The same under other ids, which are in the order of time as the service's are."""
    known: dict[uuid.UUID, uuid.UUID] = {}
    for table, ids in TABLES.items():
        places = [columns[table].index(name) for name in ids]
        owner = columns[table].index("collection_id")
        for row in rows[table]:
            row[owner] = collection_id
            for place in places:
                if row[place] not in known:
                    known[row[place]] = new_id()
                row[place] = known[row[place]]


async def write_rows(connection: Any, columns: dict[str, list[str]], rows: Rows, changes: Any, batch: int) -> float:
    """`changes`: the counts of terms, one row a batch."""
    statements = {
        table: f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f'${n + 1}' for n in range(len(names)))})"
        for table, names in columns.items()
    }
    shares = {table: -(-len(rows[table]) * batch // len(rows["document"])) for table in TABLES}
    started = time.perf_counter()
    for number, change in enumerate(changes):
        async with connection.transaction():
            for table, share in shares.items():
                await connection.executemany(statements[table], rows[table][number * share : (number + 1) * share])
            await connection.execute("INSERT INTO term_change VALUES ($1, $2, $3, $4, $5)", *change)
            await connection.execute(COUNT, change[1], batch)
    return time.perf_counter() - started


async def write_again(bench: Bench, batch: int) -> float:
    connection = await connect(bench)
    ids = {row["name"]: row["id"] for row in await connection.fetch("SELECT name, id FROM collection")}
    columns, rows = await read_rows(connection, ids["vectors"])
    move_rows(columns, rows, ids["raw"])
    count = len(rows["document"])
    terms = [f"t{number:05}" for number in range(batch)]
    tenant_id = rows["document"][0][columns["document"].index("tenant_id")]
    # Behind the same walls as the service: rows of one tenant, by a role that owns nothing.
    await connection.execute(f"SET app.tenant = '{tenant_id}'; SET ROLE {Settings().app_role}")
    changes = [(tenant_id, ids["raw"], new_id(), terms, [1] * batch) for _ in range(0, count, batch)]
    seconds = await write_rows(connection, columns, rows, changes, batch)
    await connection.close()
    return seconds


async def write_with_langchain(bench: Bench, count: int) -> float:
    postgres, core = import_module("langchain_postgres"), import_module("langchain_core.embeddings")
    engine = postgres.PGEngine.from_connection_string(bench.database_url)
    await engine.ainit_vectorstore_table("langchain", WIDTH)
    embedding = core.DeterministicFakeEmbedding(size=WIDTH)  # never asked: the vectors are ready
    store = await postgres.PGVectorStore.create(engine, embedding, "langchain")
    vectors = np.random.default_rng(1).normal(size=(count, WIDTH)).tolist()
    texts = [f"Line {number} of a text that says little more than its own number." for number in range(count)]
    metadata = [{"number": number % 100} for number in range(count)]
    started = time.perf_counter()
    await store.aadd_embeddings(texts, vectors, metadata)
    seconds = time.perf_counter() - started
    await engine.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--others", type=int, default=1000, help="documents for langchain-postgres")
    options = parser.parse_args()
    bodies = draw_bodies(options.count, options.batch)
    with run_bench(index_threshold=10_000_000) as bench:
        caller = Caller(bench.address)
        for name in ("warm", "vectors", "raw"):
            caller.call("POST", "/v1/collections", {"name": name})
            caller.call("PUT", f"/v1/collections/{name}/index", {"mode": "off"})
        post_bodies(bench, "warm", bodies[:1])
        rate = options.count / post_bodies(bench, "vectors", bodies)
        print(f"{options.count} documents of one vector, {options.batch} a post, no HNSW")
        print(f"ragstore over HTTP, 1 client     {rate:8.0f} documents/s")
        raw = options.count / asyncio.run(write_again(bench, options.batch))
        print(f"asyncpg, the same rows           {raw:8.0f} documents/s   ragstore has {rate / raw:.2f} x")
        if find_spec("langchain_postgres"):
            other = options.others / asyncio.run(write_with_langchain(bench, options.others))
            print(f"langchain-postgres PGVectorStore {other:8.0f} documents/s   ragstore has {rate / other:.1f} x")


if __name__ == "__main__":
    main()
