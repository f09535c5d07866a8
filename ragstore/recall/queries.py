import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstore.database import AsyncSession, fetch

# Twice as many as wanted are taken by chance, and of them some by chance: a LIMIT alone would prefer what lies first.
SAMPLE = """
SELECT e.chunk_id, e.vector FROM (
    SELECT t.chunk_id FROM embedding t
    WHERE t.tenant_id = :tenant_id AND t.collection_id = :collection_id AND t.model_id = :model_id
      AND random() < CAST(:share AS float8)
    ORDER BY random() LIMIT :size
) taken
JOIN embedding e ON e.tenant_id = :tenant_id AND e.chunk_id = taken.chunk_id AND e.model_id = :model_id
ORDER BY random()
"""


async def sample_passages(
    session: AsyncSession, scope: Mapping[str, Any], chunks: int, size: int
) -> list[tuple[uuid.UUID, NDArray[np.float32]]]:
    """`size` of the collection's passages with their vectors, each set equally likely, in an order by chance."""
    share = min(1.0, (2 * size + 20) / max(chunks, 1))
    rows = await fetch(session, SAMPLE, {**scope, "share": share, "size": size})
    return [(row["chunk_id"], row["vector"]) for row in rows]
