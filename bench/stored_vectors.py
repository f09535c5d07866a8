"""Puts vectors of a .npy file into a collection as ingestion would, but by COPY: what is measured is searching."""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np

from bench.measure import Bench, Caller
from ragstore.columns import new_id, register_codecs
from ragstore.document.entries import list_entries
from ragstore.embedding.codes import encode

BATCH = 2000
NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def connect(bench: Bench) -> Any:
    """As the owner, past the walls."""
    connection = await asyncpg.connect(bench.database_url.replace("+asyncpg", ""))
    await register_codecs(connection)
    await connection.execute("SET jit = off")
    return connection


def describe_row(number: int) -> dict[str, Any]:
    """Metadata that a filter picks 10 %, 1 %, 0.1 % and 0.01 % by, and a number for ranges."""
    return {
        "tenth": number % 10,
        "hundredth": number * 7 % 100,
        "thousandth": number * 7 % 1000,
        "tenthousandth": number * 7 % 10_000,
        "number": number * 7919 % 1_000_003,
    }


async def store_vectors(bench: Bench, name: str, path: Path, most: int | None = None) -> tuple[uuid.UUID, ...]:
    """Tenant, collection and model. One document of one passage for each vector."""
    Caller(bench.address).call("POST", "/v1/collections", {"name": name})
    vectors = np.load(path, mmap_mode="r")[:most]
    connection = await connect(bench)
    row = await connection.fetchrow("SELECT tenant_id, id, model_id FROM collection WHERE name = $1", name)
    scope = tuple(row)
    for start in range(0, len(vectors), BATCH):
        await store_batch(connection, scope, start, np.asarray(vectors[start : start + BATCH], np.float32))
    count = len(vectors)
    await connection.execute(
        "UPDATE collection SET document_count = $2, chunk_count = $2, term_total = $2 WHERE id = $1", scope[1], count
    )
    for table in ("document", "chunk", "embedding", "metadata_entry"):
        await connection.execute(f"VACUUM (ANALYZE) {table}")
    await connection.close()
    return scope


async def store_batch(connection: Any, scope: Sequence[Any], start: int, vectors: Any) -> None:
    tenant_id, collection_id, model_id = scope
    codes = encode(vectors)
    documents, chunks, embeddings, entries = [], [], [], []
    for place, vector in enumerate(vectors):
        number, document_id, chunk_id = start + place, new_id(), new_id()
        metadata = describe_row(number)
        documents.append(
            (tenant_id, document_id, collection_id, str(number), f"text {number}", b"", b"", json.dumps(metadata), 1, 1)
        )
        chunks.append((tenant_id, chunk_id, collection_id, document_id, 0, f"text {number}", 0, 6, 2))
        embeddings.append(
            (tenant_id, chunk_id, model_id, collection_id, document_id, 1.0, vector, codes[place].tobytes())
        )
        entries += [(tenant_id, collection_id, document_id, entry) for entry in list_entries(None, metadata)]
    await copy(
        connection,
        "document",
        "tenant_id id collection_id key content content_digest record_digest metadata version chunk_count",
        documents,
    )
    await copy(
        connection,
        "chunk",
        "tenant_id id collection_id document_id ordinal content start_offset end_offset token_count",
        chunks,
    )
    await copy(
        connection, "embedding", "tenant_id chunk_id model_id collection_id document_id norm vector code", embeddings
    )
    await copy(connection, "metadata_entry", "tenant_id collection_id document_id entry", entries)


async def copy(connection: Any, table: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    await connection.copy_records_to_table(table, columns=columns.split(), records=rows)
