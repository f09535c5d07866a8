"""Search on one BEIR folder: the bare statement, in process, and over HTTP, turn by turn in one run.

    python -m bench.search DIR [--queries 300]

The bare statement is the service's own SQL on one asyncpg connection with a ready vector and code: what remains is what
the service costs. HTTP is one kept-alive connection of the standard library to `ragstore serve`.
"""

import argparse
import asyncio
import time
from pathlib import Path

import asyncpg
import httpx

from bench.measure import Bench, Caller, describe, post_corpus, read_corpus, read_queries, run_bench
from ragstore.app import create_app
from ragstore.columns import register_codecs
from ragstore.database import number_parameters
from ragstore.embedding.codes import encode_one
from ragstore.embedding.local import LocalEmbedder
from ragstore.logs import configure_logs
from ragstore.search.queries import NEAREST
from ragstore.settings import Settings

NAMES = number_parameters(NEAREST)[1]
PATH = "/v1/collections/bench/search"
MODES = ("vector", "text", "hybrid")


async def measure(bench: Bench, queries: list[str]) -> None:
    caller, embedder = Caller(bench.address), LocalEmbedder()
    settings = Settings.model_validate({"database_url": bench.database_url, "log_level": "warning"})
    configure_logs(settings)
    connection = await asyncpg.connect(bench.database_url.replace("+asyncpg", ""))
    await register_codecs(connection)
    await connection.execute("SET jit = off")  # as the owner: past the wall, the least the statement can cost
    rows = await connection.fetch("SELECT tenant_id, id, model_id, name FROM collection WHERE name = 'bench'")
    which = dict(zip(("tenant_id", "collection_id", "model_id", "name"), rows[0], strict=True))
    statement = await connection.prepare(number_parameters(NEAREST)[0])
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {bench.address.api_key}"}
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # litestar's own scope
    bare: list[float] = []
    inside: dict[str, list[float]] = {mode: [] for mode in MODES}
    outside: dict[str, list[float]] = {mode: [] for mode in MODES}
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers) as client,
    ):
        for query in queries[:20] + queries:
            vector = embedder.embed([query])[0]
            code = encode_one(vector).tobytes()
            started = time.perf_counter()
            given = which | {"code": code, "depth": 200, "vector": vector, "top_k": 10}
            await statement.fetch(*[given[name] for name in NAMES])
            bare.append(time.perf_counter() - started)
            for mode in MODES:
                started = time.perf_counter()
                (await client.post(PATH, json={"query": query, "mode": mode})).raise_for_status()
                inside[mode].append(time.perf_counter() - started)
                started = time.perf_counter()
                caller.call("POST", PATH, {"query": query, "mode": mode})
                outside[mode].append(time.perf_counter() - started)
    await connection.close()
    print(describe("bare asyncpg statement", bare[20:]))
    for mode in MODES:
        print(describe(f"{mode}, in process (ASGI, httpx)", inside[mode][20:], bare[20:]))
        print(describe(f"{mode}, over HTTP, 1 client", outside[mode][20:], bare[20:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=int, default=300)
    arguments = parser.parse_args()
    documents = read_corpus(arguments.folder)
    with run_bench() as bench:
        caller = Caller(bench.address)
        caller.call("POST", "/v1/collections", {"name": "bench"})
        post_corpus(caller, "bench", documents)
        chunks = caller.call("GET", "/v1/collections/bench")["chunk_count"]
        time.sleep(5)  # the vacuum after the import
        print(f"{len(documents)} documents, {chunks} passages, top_k 10, 200 candidates")
        asyncio.run(measure(bench, read_queries(arguments.folder, arguments.queries)))


if __name__ == "__main__":
    main()
