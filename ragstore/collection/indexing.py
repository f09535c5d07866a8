"""The index a large collection has on its codes: what it is called, when there is to be one, how it is asked for."""

import hashlib
import uuid

from ragstore.database import AsyncSession
from ragstore.job.service import enqueue

INDEX = "index"
PREFIX = "ix_embedding_hnsw_"


def name_index(tenant_id: uuid.UUID, collection_id: uuid.UUID, model_id: int) -> str:
    """50 characters, the same everywhere and always."""
    digest = hashlib.sha256(f"{tenant_id} {collection_id} {model_id}".encode()).hexdigest()
    return PREFIX + digest[:32]


def is_wanted(mode: str, chunks: int, threshold: int, *, present: bool) -> bool:
    """An index that is there is kept until half the threshold: a collection about as large as it does not build and
    drop in turn. The sweep's SQL function says the same.
    """
    if mode != "auto":
        return mode == "on"
    return chunks >= max(threshold, 1) or (present and 2 * chunks >= threshold)


def crosses_threshold(before: int, after: int, threshold: int) -> bool:
    return before < max(threshold, 1) <= after


def dedupe_key(collection_id: uuid.UUID, model_id: int) -> str:
    """Of the job that builds or drops this index."""
    return f"{collection_id} {model_id}"


async def request_index(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, model_id: int
) -> uuid.UUID:
    """The job that makes the index be as it should by then: built, built anew, or gone. Call last before the commit."""
    payload = {"collection_id": str(collection_id), "model_id": model_id}
    return await enqueue(session, tenant_id, INDEX, payload, dedupe_key=dedupe_key(collection_id, model_id))
