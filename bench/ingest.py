"""Ingest over HTTP with the local model: passages a second, and where the time goes.

    python -m bench.ingest DIR [--clients 2]

The shares come from the same documents taken through the stages one by one in this process: those before the database
alone, then the whole ingestion without HTTP; what HTTP adds is the rest of the run over HTTP with one client.
"""

import argparse
import asyncio
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.measure import Bench, Caller, post_corpus, read_corpus, run_bench
from ragstore.app import make_state, run_state
from ragstore.collection.schemas import Chunking, CollectionCreate
from ragstore.collection.service import CollectionService
from ragstore.database import Database, TenantDatabase
from ragstore.embedding.codes import encode
from ragstore.embedding.local import LocalEmbedder
from ragstore.ingestion.chunking import split_texts
from ragstore.ingestion.outline import make_outline
from ragstore.ingestion.service import IngestionService
from ragstore.lexical.analysis import get_analyzer
from ragstore.lexical.indexing import TermNumbers, to_passage_terms
from ragstore.settings import Settings
from ragstore.tenant.queries import list_tenants

SIZE = 100


def cut_and_embed(documents: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Seconds of each stage that needs neither the network nor the database."""
    embedder, analyzer = LocalEmbedder(), get_analyzer("english")
    embedder.load()
    numbers = TermNumbers(uuid.uuid4())
    cutting = embedding = coding = indexing = 0.0
    for start in range(0, len(documents), SIZE):
        batch = documents[start : start + SIZE]
        began = time.perf_counter()
        outlines = [make_outline(one["content"], one["title"], Chunking()) for one in batch]
        passages = split_texts([one["content"] for one in batch], Chunking(), outlines)
        cut = time.perf_counter()
        texts = [piece.indexed for pieces in passages for piece in pieces]
        vectors = embedder.embed(texts)
        embedded = time.perf_counter()
        encode(vectors)
        coded = time.perf_counter()
        for text in texts:
            to_passage_terms(terms := analyzer.terms(text), numbers, analyzer.count_scored(terms), 1.0)
        cutting += cut - began
        embedding += embedded - cut
        coding += coded - embedded
        indexing += time.perf_counter() - coded
    return {"cutting (tokens counted)": cutting, "embedding": embedding, "codes": coding, "words": indexing}


async def ingest_in_process(bench: Bench, documents: Sequence[dict[str, Any]]) -> float:
    state = make_state(Settings.model_validate({"database_url": bench.database_url, "log_level": "warning"}))
    async with run_state(state):
        owner = Database.connect(bench.database_url, state.settings)
        async with owner.transaction() as session:
            tenant_id: uuid.UUID = (await list_tenants(session))[0].id
        await owner.close()
        async with state.database.transaction(tenant_id) as session:
            wanted = CollectionCreate(name="inside")
            await CollectionService(session, tenant_id).create(wanted, state.embedders)
        service = IngestionService(TenantDatabase(state.database, tenant_id), state.embedders)
        started = time.perf_counter()
        for start in range(0, len(documents), SIZE):
            await service.upsert("inside", documents[start : start + SIZE])
        return time.perf_counter() - started


def post_at_once(bench: Bench, documents: Sequence[dict[str, Any]], clients: int) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        parts = [documents[number::clients] for number in range(clients)]
        for done in [pool.submit(post_corpus, Caller(bench.address), "many", part, SIZE) for part in parts]:
            done.result()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clients", type=int, default=2)
    arguments = parser.parse_args()
    documents = read_corpus(arguments.folder)
    with run_bench() as bench:
        caller = Caller(bench.address)
        for name in ("one", "many"):
            caller.call("POST", "/v1/collections", {"name": name})
        over_http = post_corpus(caller, "one", documents, SIZE)
        at_once = post_at_once(bench, documents, arguments.clients)
        passages = caller.call("GET", "/v1/collections/one")["chunk_count"]
        inside = asyncio.run(ingest_in_process(bench, documents))
        stages = cut_and_embed(documents)
    print(f"{len(documents)} documents, {passages} passages, {SIZE} documents a post")
    print(f"over HTTP, 1 client             {passages / over_http:7.0f} passages/s")
    print(f"over HTTP, {arguments.clients} clients            {passages / at_once:7.0f} passages/s")
    shares = {
        **stages,
        "database": inside - sum(stages.values()),
        "HTTP and JSON": over_http - inside,
    }
    for name, seconds in shares.items():
        print(f"  {name:<28} {seconds:6.2f} s  {seconds / over_http:5.0%}")


if __name__ == "__main__":
    main()
