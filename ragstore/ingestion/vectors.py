"""Vectors for the passages that have none: each text once, and each that was paid for remembered at once."""

import asyncio

import numpy as np
import structlog
from numpy.typing import NDArray

from ragstore.collection.service import CollectionHandle
from ragstore.database import TenantDatabase
from ragstore.document.cache.service import VectorCache
from ragstore.embedding.partly import embed_partly
from ragstore.embedding.provider import Embedder
from ragstore.errors import Unavailable
from ragstore.ingestion.drafts import Draft

log = structlog.get_logger(__name__)


async def embed_open(
    database: TenantDatabase, embedder: Embedder, handle: CollectionHandle, drafts: list[Draft], *, paid: bool
) -> None:
    """No connection is held while the model works. Sets `vector`, or `refused` where the provider does not take the
    text; raises what else the provider raises.
    """
    wanted: dict[bytes, list[Draft]] = {}
    for one in drafts:
        if one.is_open:
            wanted.setdefault(one.digest, []).append(one)
    if not wanted:
        return
    digests = list(wanted)
    writing = asyncio.Lock()  # batches come at once, and one connection is enough

    async def remember(part: slice, vectors: NDArray[np.float32]) -> None:
        async with writing:
            await store_paid(database, handle, dict(zip(digests[part], vectors, strict=True)))

    texts = [same[0].text for same in wanted.values()]
    found = await embed_partly(embedder, texts, on_batch=remember if paid else None)
    for place, same in enumerate(wanted.values()):
        for one in same:
            if place in found.refused:
                one.refused = found.refused[place].reason
            else:
                one.vector = found.vectors[place]


async def store_paid(
    database: TenantDatabase, handle: CollectionHandle, vectors: dict[bytes, NDArray[np.float32]]
) -> None:
    """A transaction of its own: a later batch may fail. Where it cannot be had, nothing is lost that is needed now."""
    try:
        async with database.transaction() as session:
            await VectorCache(session, database.tenant_id, handle.model_id).store(vectors)
    except Unavailable as error:
        log.warning("paid vectors are not remembered", error=error.slug, vectors=len(vectors))
