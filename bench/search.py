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
from ragstore.embedding.codes import encode_one
from ragstore.embedding.local import LocalEmbedder
from ragstore.logs import configure_logs
from ragstore.search.queries import UNFILTERED
from ragstore.settings import Settings

NAMES = ("tenant_id", "collection_id", "model_id", "name", "code", "candidates", "vector", "top_k")
PATH = "/v1/collections/bench/search"


def number_parameters(sql: str) -> str:
    for number, name in enumerate(NAMES, start=1):
        sql = sql.replace(f":{name}", f"${number}")
    return sql


async def measure(bench: Bench, queries: list[str]) -> None:
    caller, embedder = Caller(bench.address), LocalEmbedder()
    settings = Settings.model_validate({"database_url": bench.database_url, "log_level": "warning"})
    configure_logs(settings)
    connection = await asyncpg.connect(bench.database_url.replace("+asyncpg", ""))
    await register_codecs(connection)
    await connection.execute("SET jit = off")  # as the owner: past the wall, the least the statement can cost
    rows = await connection.fetch("SELECT tenant_id, id, model_id, name FROM collection WHERE name = 'bench'")
    which = tuple(rows[0])
    statement = await connection.prepare(number_parameters(str(UNFILTERED.text)))
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {bench.address.api_key}"}
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # litestar's own scope
    bare: list[float] = []
    inside: list[float] = []
    outside: list[float] = []
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers) as client,
    ):
        for query in queries[:20] + queries:
            vector = embedder.embed([query])[0]
            code = encode_one(vector).tobytes()
            started = time.perf_counter()
            await statement.fetch(*which, code, 200, vector, 10)
            bare.append(time.perf_counter() - started)
            started = time.perf_counter()
            (await client.post(PATH, json={"query": query})).raise_for_status()
            inside.append(time.perf_counter() - started)
            started = time.perf_counter()
            caller.call("POST", PATH, {"query": query})
            outside.append(time.perf_counter() - started)
    await connection.close()
    print(describe("bare asyncpg statement", bare[20:]))
    print(describe("in process (ASGI, httpx client)", inside[20:], bare[20:]))
    print(describe("over HTTP, 1 client", outside[20:], bare[20:]))


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
