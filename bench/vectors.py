"""Search among ready vectors: the complete scan, the index, filters of every width, eight clients at once.

    python -m bench.vectors VECTORS.npy QUERIES.npy [--count 100000] [--queries 200] [--halfvec] [--build-memory 2048]
        [--build-workers 0]

VECTORS.npy holds (n, 1536) float32 or float16 of unit length, QUERIES.npy some more that are not among them. Recall is
against all inner products in numpy. The bare statement is the service's own, by asyncpg as the owner.
"""

import argparse
import asyncio
import base64
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray

from bench.measure import Bench, Caller, describe, run_bench
from bench.stored_vectors import connect, describe_row, store_vectors
from ragstore.collection.indexing import name_index
from ragstore.columns import register_codecs
from ragstore.database import number_parameters
from ragstore.embedding.codes import encode_one
from ragstore.search.queries import NEAREST

NAME, TOP_K, DEPTH, CLIENTS = "vectors", 10, 200, 8
SECONDS = 10.0  # of each round with several clients
HALFVEC = (
    "CREATE INDEX bench_halfvec ON embedding USING hnsw ((vector::halfvec(1536)) halfvec_cosine_ops)"
    " WITH (ef_construction = 100) WHERE collection_id = '{}'"
)
CODES = (
    "CREATE INDEX bench_codes ON embedding USING hnsw (code bit_hamming_ops)"
    " WITH (ef_construction = 100) WHERE collection_id = '{}'"
)
FILTERS: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = {
    "= 10 %": ({"tenth": 3}, lambda row: row["tenth"] == 3),
    "= 1 %": ({"hundredth": 21}, lambda row: row["hundredth"] == 21),
    "= 0.1 %": ({"thousandth": 21}, lambda row: row["thousandth"] == 21),
    "= 0.01 %": ({"tenthousandth": 21}, lambda row: row["tenthousandth"] == 21),
    "< 10 %": ({"number": {"$lt": 100_000}}, lambda row: row["number"] < 100_000),
    "< 1 %": ({"number": {"$lt": 10_000}}, lambda row: row["number"] < 10_000),
    "< 0.1 %": ({"number": {"$lt": 1000}}, lambda row: row["number"] < 1000),
    "> 50 %": ({"tenth": {"$gte": 5}}, lambda row: row["tenth"] >= 5),
    "!= 90 %": ({"tenth": {"$ne": 3}}, lambda row: row["tenth"] != 3),
}


def find_exact(
    path: Path, count: int, queries: NDArray[np.float32], mask: NDArray[np.bool_] | None = None
) -> list[set[int]]:
    """The numbers of the nearest ten of each query."""
    vectors = np.load(path, mmap_mode="r")
    best = np.full((len(queries), 0), -2.0, np.float32)
    places = np.zeros((len(queries), 0), np.int64)
    for start in range(0, count, 50_000):
        block = np.asarray(vectors[start : min(start + 50_000, count)], np.float32)
        products = queries @ block.T
        if mask is not None:
            products[:, ~mask[start : start + len(block)]] = -2.0
        best = np.concatenate([best, products], axis=1)
        places = np.concatenate([places, np.tile(np.arange(start, start + len(block)), (len(queries), 1))], axis=1)
        keep = np.argpartition(-best, TOP_K - 1, axis=1)[:, :TOP_K]
        best, places = np.take_along_axis(best, keep, 1), np.take_along_axis(places, keep, 1)
    return [
        {int(place) for place, product in zip(*pair, strict=True) if product > -2}
        for pair in zip(places, best, strict=True)
    ]


def make_body(query: NDArray[np.float32], tree: dict[str, Any] | None) -> dict[str, Any]:
    body: dict[str, Any] = {"vector": base64.b64encode(query.astype("<f4").tobytes()).decode(), "top_k": TOP_K}
    return body if tree is None else body | {"filter": tree}


def ask(
    caller: Caller, queries: NDArray[np.float32], tree: dict[str, Any] | None, exact: Sequence[set[int]]
) -> tuple[list[float], float, int, str]:
    """Seconds, recall, answers with fewer hits than there are, and the plan."""
    path = f"/v1/collections/{NAME}/search"
    seconds, recalls, short = [], [], 0
    for query, wanted in zip(queries, exact, strict=True):
        started = time.perf_counter()
        hits = caller.call("POST", path, make_body(query, tree))["hits"]
        seconds.append(time.perf_counter() - started)
        found = {int(hit["document_key"]) for hit in hits}
        recalls.append(len(found & wanted) / max(len(wanted), 1))
        short += len(found) < len(wanted)
    explained = caller.call("POST", path, make_body(queries[0], tree) | {"explain": True})["explain"]["plans"][0]
    return seconds, float(np.mean(recalls)), short, explained["vector_plan"]


def bind(scope: Sequence[Any], query: NDArray[np.float32]) -> list[Any]:
    values = {
        "tenant_id": scope[0],
        "collection_id": scope[1],
        "model_id": scope[2],
        "name": NAME,
        "vector": query,
        "code": encode_one(query).tobytes(),
        "depth": DEPTH,
        "top_k": TOP_K,
    }
    return [values[name] for name in number_parameters(NEAREST)[1]]


async def open_bare(bench: Bench) -> Any:
    connection = await connect(bench)
    await connection.execute(
        f"SET plan_cache_mode = force_custom_plan; SET max_parallel_workers_per_gather = 0;"
        f" SET hnsw.ef_search = {2 * DEPTH}; SET hnsw.iterative_scan = relaxed_order"
    )
    return connection


async def time_bare(bench: Bench, scope: Sequence[Any], queries: NDArray[np.float32]) -> list[float]:
    connection, seconds = await open_bare(bench), []
    for query in queries:
        started = time.perf_counter()
        await connection.fetch(number_parameters(NEAREST)[0], *bind(scope, query))
        seconds.append(time.perf_counter() - started)
    await connection.close()
    return seconds


async def count_bare(bench: Bench, scope: Sequence[Any], queries: NDArray[np.float32]) -> float:
    """Queries a second of eight connections."""
    connections = [await open_bare(bench) for _ in range(CLIENTS)]
    sql, deadline, done = number_parameters(NEAREST)[0], time.perf_counter() + SECONDS, 0

    async def run(connection: Any, offset: int) -> int:
        asked = 0
        while time.perf_counter() < deadline:
            await connection.fetch(sql, *bind(scope, queries[(offset + asked) % len(queries)]))
            asked += 1
        return asked

    done = sum(await asyncio.gather(*[run(one, 17 * place) for place, one in enumerate(connections)]))
    for connection in connections:
        await connection.close()
    return done / SECONDS


def count_served(bench: Bench, queries: NDArray[np.float32]) -> float:
    """The same over HTTP."""
    bodies = [make_body(query, None) for query in queries]
    deadline = time.perf_counter() + SECONDS

    def run(offset: int) -> int:
        caller, asked = Caller(bench.address), 0
        while time.perf_counter() < deadline:
            caller.call("POST", f"/v1/collections/{NAME}/search", bodies[(offset + asked) % len(bodies)])
            asked += 1
        return asked

    with ThreadPoolExecutor(CLIENTS) as threads:
        return sum(threads.map(run, range(0, 17 * CLIENTS, 17))) / SECONDS


def build_index(caller: Caller) -> tuple[float, dict[str, Any]]:
    started = time.perf_counter()
    caller.call("PUT", f"/v1/collections/{NAME}/index", {"mode": "on"})
    while (state := caller.call("GET", f"/v1/collections/{NAME}/index"))["state"] != "ready":
        time.sleep(0.2)
    return time.perf_counter() - started, state


async def compare_builds(bench: Bench, scope: Sequence[Any], workers: int) -> None:
    connection = await asyncpg.connect(bench.database_url.replace("+asyncpg", ""), timeout=60)
    await register_codecs(connection)
    await connection.execute(f"SET maintenance_work_mem = '2GB'; SET max_parallel_maintenance_workers = {workers}")
    for name, statement in (("codes", CODES), ("halfvec", HALFVEC)):
        started = time.perf_counter()
        await connection.execute(statement.format(scope[1]), timeout=3600)
        size = await connection.fetchval("SELECT pg_relation_size($1::text::regclass)", f"bench_{name}")
        print(f"HNSW on {name:<10} built in {time.perf_counter() - started:6.1f} s   {size / 1e6:7.1f} MB")
        await connection.execute(f"DROP INDEX bench_{name}")
    await connection.close()


async def measure_index(bench: Bench, scope: Sequence[Any], count: int) -> None:
    connection = await connect(bench)
    covering = await connection.fetchval("SELECT pg_relation_size('ix_embedding_code')")
    size = await connection.fetchval("SELECT pg_database_size(current_database())")
    name = name_index(scope[0], scope[1], scope[2])
    hnsw = await connection.fetchval("SELECT pg_relation_size($1::text::regclass)", name)
    await connection.close()
    print(f"database {size / 1e9:.2f} GB")
    print(f"bytes a vector: HNSW on codes {hnsw / count:.0f}, with the covering index {(hnsw + covering) / count:.0f}")


def report(name: str, measured: tuple[list[float], float, int, str], baseline: Sequence[float] | None = None) -> None:
    seconds, recall, short, plan = measured
    print(f"{describe(name, seconds, baseline)}   recall@10 {recall:.4f}   short {short}   {plan}")


def measure_filters(caller: Caller, path: Path, count: int, queries: NDArray[np.float32]) -> None:
    rows = [describe_row(number) for number in range(count)]
    for name, (tree, matches) in FILTERS.items():
        exact = find_exact(path, count, queries, np.array([matches(row) for row in rows]))
        ask(caller, queries[:5], tree, exact[:5])
        report(f"filter {name}", ask(caller, queries, tree, exact))


def run(bench: Bench, options: argparse.Namespace) -> None:
    caller = Caller(bench.address)
    queries = np.load(options.queries_path)[: options.queries].astype(np.float32)
    started = time.perf_counter()
    scope = asyncio.run(store_vectors(bench, NAME, options.vectors, options.count))
    print(f"{options.count} vectors stored by COPY in {time.perf_counter() - started:.0f} s")
    caller.call("PUT", f"/v1/collections/{NAME}/index", {"mode": "off"})
    exact = find_exact(options.vectors, options.count, queries)
    ask(caller, queries[:10], None, exact[:10])
    bare = asyncio.run(time_bare(bench, scope, queries))
    print(describe("bare statement, no index", bare))
    report("over HTTP, no index", ask(caller, queries, None, exact), bare)
    measure_filters(caller, options.vectors, options.count, queries[: options.filter_queries])
    seconds, state = build_index(caller)
    print(f"index ready {seconds:.1f} s after it was asked for, {state['bytes'] / 1e6:.1f} MB")
    asyncio.run(measure_index(bench, scope, options.count))
    asyncio.run(time_bare(bench, scope, queries))  # warm
    bare = asyncio.run(time_bare(bench, scope, queries))
    print(describe("bare statement, index", bare))
    report("over HTTP, index", ask(caller, queries, None, exact), bare)
    rounds = [(asyncio.run(count_bare(bench, scope, queries)), count_served(bench, queries)) for _ in range(3)]
    for plain, served in rounds:
        print(f"{CLIENTS} clients: bare {plain:.0f}/s, over HTTP {served:.0f}/s, {served / plain:.2f} x")
    print(f"median {statistics.median(served / plain for plain, served in rounds):.2f} x")
    measure_filters(caller, options.vectors, options.count, queries[: options.filter_queries])
    if options.halfvec:
        asyncio.run(compare_builds(bench, scope, options.build_workers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("queries_path", type=Path, metavar="queries.npy")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--filter-queries", type=int, default=50)
    parser.add_argument("--halfvec", action="store_true", help="Build both kinds of HNSW by SQL, to compare.")
    parser.add_argument("--build-workers", type=int, default=0, help="RAGSTORE_INDEX_BUILD_WORKERS")
    parser.add_argument("--build-memory", type=int, default=2048, help="RAGSTORE_INDEX_BUILD_MEMORY_MB")
    given = parser.parse_args()
    memory, workers = given.build_memory, given.build_workers
    with run_bench(index_build_quiet=0, index_build_memory_mb=memory, index_build_workers=workers) as running:
        run(running, given)
