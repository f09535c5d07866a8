import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, text

from ragstore.collection.service import CollectionHandle
from ragstore.database import AsyncSession
from ragstore.document.filter_sql import compile_filter
from ragstore.document.filters import Filter

# Two stages: candidates by Hamming distance on the codes, an index-only scan of `ix_embedding_code`; then the exact
# distance on their full vectors. The filter is applied among the codes, so it never hides a hit. `+ 0`: an HNSW index
# would answer in this order too, but with 40 rows instead of all.
NEAREST = """
WITH candidate AS MATERIALIZED (
    SELECT e.chunk_id
    FROM embedding e
    WHERE e.tenant_id = :tenant_id AND e.collection_id = :collection_id AND e.model_id = :model_id
      AND EXISTS (
          SELECT FROM collection k
          WHERE k.tenant_id = :tenant_id AND k.id = :collection_id AND k.name = :name AND k.model_id = :model_id
      ) {matching}
    ORDER BY (e.code <~> :code) + 0, e.chunk_id
    LIMIT :candidates
), nearest AS MATERIALIZED (
    SELECT e.chunk_id, e.vector <=> :vector AS distance
    FROM candidate JOIN embedding e
      ON e.tenant_id = :tenant_id AND e.chunk_id = candidate.chunk_id AND e.model_id = :model_id
    ORDER BY distance, e.chunk_id
    LIMIT :top_k
)
SELECT d.id, d.key, c.id, 1 - n.distance, c.content, d.title, d.source, d.url, d.metadata, c.ordinal,
       c.start_offset, c.end_offset
FROM nearest n
JOIN chunk c ON c.tenant_id = :tenant_id AND c.id = n.chunk_id
JOIN document d ON d.tenant_id = :tenant_id AND d.id = c.document_id
ORDER BY n.distance, n.chunk_id
"""
MATCHING = """
      AND e.document_id IN (
          SELECT d.id FROM document d
          WHERE d.tenant_id = :tenant_id AND d.collection_id = :collection_id AND {condition}
      )
"""
UNFILTERED = text(NEAREST.format(matching=""))


async def find_nearest(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    collection: CollectionHandle,
    *,
    vector: NDArray[np.float32],
    code: bytes,
    condition: Filter | None,
    candidates: int,
    top_k: int,
) -> Sequence[Row[Any]]:
    """Columns in the order of `schemas.Hit`; best first. Nothing when the collection is not as the handle says."""
    parameters = {
        "tenant_id": tenant_id,
        "collection_id": collection.id,
        "name": collection.name,
        "model_id": collection.model_id,
        "vector": vector,
        "code": code,
        "candidates": candidates,
        "top_k": top_k,
    }
    statement = UNFILTERED
    if condition is not None:
        sql, bound = compile_filter(condition)
        statement = text(NEAREST.format(matching=MATCHING.format(condition=sql)))
        parameters |= bound
    connection = await session.connection()
    return (await connection.execute(statement, parameters)).all()
