"""Every statement of a search. All run in transactions that plan for their own parameters: the index of one collection
is partial, and a plan for any collection could not use it.
"""

import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstore.database import AnySession, fetch
from ragstore.document.filter_sql import compile_documents, is_answered_by_indexes
from ragstore.document.filters import Filter
from ragstore.embedding.provider import DIMENSIONS
from ragstore.search.pool_sql import SCOPE, PoolShape, compile_pool

HIT_COLUMNS = """
    d.id, d.key, c.id, {score}, c.content, d.title, d.source, d.url, d.metadata || c.metadata, c.ordinal,
    c.start_offset, c.end_offset
"""

# Candidates by Hamming distance on the codes (the collection's index, or an index-only scan of `ix_embedding_code`);
# then the exact distance on their full vectors.
NEAREST = f"""
WITH candidate AS MATERIALIZED (
    SELECT e.chunk_id FROM embedding e
    WHERE {SCOPE}
      AND EXISTS (
          SELECT FROM collection k
          WHERE k.tenant_id = :tenant_id AND k.id = :collection_id AND k.name = :name AND k.model_id = :model_id
      )
    ORDER BY e.code <~> :code
    LIMIT :depth
), nearest AS MATERIALIZED (
    SELECT e.chunk_id, e.vector <=> :vector AS distance
    FROM candidate JOIN embedding e
      ON e.tenant_id = :tenant_id AND e.chunk_id = candidate.chunk_id AND e.model_id = :model_id
    ORDER BY distance, e.chunk_id
    LIMIT :top_k
)
SELECT {HIT_COLUMNS.format(score="1 - n.distance")}
FROM nearest n
JOIN chunk c ON c.tenant_id = :tenant_id AND c.id = n.chunk_id
JOIN document d ON d.tenant_id = :tenant_id AND d.id = c.document_id
ORDER BY n.distance, n.chunk_id
"""  # noqa: S608  # no value in it
LOOK = """
SELECT k.name, k.model_id, k.document_count, k.chunk_count, k.term_total, k.metric,
    coalesce((SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass(:index_name)), false) AS indexed,
    ARRAY(
        SELECT coalesce(t.passages, 0) + coalesce(w.change, 0)
        FROM unnest(CAST(:lexemes AS text[])) WITH ORDINALITY u(term, place)
        LEFT JOIN term_count t
          ON t.tenant_id = :tenant_id AND t.collection_id = :collection_id AND t.term = u.term
        LEFT JOIN (
            SELECT v.term, sum(v.change)::integer AS change
            FROM term_change x, unnest(x.terms, x.changes) v(term, change)
            WHERE x.tenant_id = :tenant_id AND x.collection_id = :collection_id
              AND v.term = ANY(CAST(:lexemes AS text[]))
            GROUP BY v.term
        ) w ON w.term = u.term
        ORDER BY u.place
    ) AS passages
FROM collection k WHERE k.tenant_id = :tenant_id AND k.id = :collection_id
"""
MATCH = """
SELECT count(*), CASE WHEN count(*) <= CAST(:few AS bigint) THEN array_agg(m.id) END
FROM (SELECT f.id FROM ({documents}) f (id) LIMIT :most) m
"""
PASSAGES = f"""
SELECT {HIT_COLUMNS.format(score="0")}, {{vector}}
FROM unnest(CAST(:chunk_ids AS uuid[])) wanted(id)
JOIN chunk c
  ON c.tenant_id = :tenant_id AND c.id = wanted.id AND c.collection_id = ANY(CAST(:collection_ids AS uuid[]))
JOIN document d ON d.tenant_id = :tenant_id AND d.id = c.document_id
"""  # noqa: S608  # no value in it
VECTOR_OF = """
(SELECT e.vector FROM embedding e JOIN collection k ON k.tenant_id = e.tenant_id AND k.id = e.collection_id
 WHERE e.tenant_id = :tenant_id AND e.chunk_id = c.id AND e.model_id = k.model_id)
"""
VECTORS = """
SELECT e.chunk_id, e.vector FROM embedding e
WHERE e.tenant_id = :tenant_id AND e.chunk_id = ANY(CAST(:chunk_ids AS uuid[])) AND e.model_id = :model_id
"""
NEIGHBORS = """
SELECT w.place, c.id, c.ordinal, c.content, c.start_offset, c.end_offset
FROM unnest(CAST(:document_ids AS uuid[]), CAST(:ordinals AS integer[])) WITH ORDINALITY w(document_id, ordinal, place)
JOIN chunk c ON c.tenant_id = :tenant_id AND c.document_id = w.document_id
  AND c.ordinal BETWEEN w.ordinal - :around AND w.ordinal + :around AND c.ordinal <> w.ordinal
ORDER BY w.place, c.ordinal
"""
# Twice as many as wanted are taken by chance, and of them some by chance: a LIMIT alone would prefer what lies first.
SAMPLE = f"""
SELECT e.chunk_id, e.vector FROM (
    SELECT e.chunk_id FROM embedding e WHERE {SCOPE} AND random() < CAST(:share AS float8)
    ORDER BY random() LIMIT :size
) taken
JOIN embedding e ON e.tenant_id = :tenant_id AND e.chunk_id = taken.chunk_id AND e.model_id = :model_id
ORDER BY random()
"""  # noqa: S608  # no value in it
# By what their codes are: the same passages of every copy of a collection, and in every process. How many bits a code
# shares with a code drawn by chance, but for the multiples of 16, is as good as drawn by chance too.
DRAWN = " + ".join(f"{16**place} * (CAST(e.code <~> :drawn_{place} AS integer) % 16)" for place in range(3))
SAMPLE_STEADILY = f"""
SELECT e.vector FROM (
    SELECT e.chunk_id, {DRAWN} AS drawn, e.code FROM embedding e WHERE {SCOPE} AND {DRAWN} < CAST(:most AS integer)
    ORDER BY drawn, e.code LIMIT :size
) taken
JOIN embedding e ON e.tenant_id = :tenant_id AND e.chunk_id = taken.chunk_id AND e.model_id = :model_id
"""  # noqa: S608  # no value in it
DRAWN_VALUES = 16**3
DRAWN_CODES = {f"drawn_{place}": np.random.default_rng(place).bytes(DIMENSIONS // 8) for place in range(3)}
LIKE = """
SELECT c.id, c.document_id, e.vector, c.content
FROM chunk c
JOIN document d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
JOIN embedding e ON e.tenant_id = :tenant_id AND e.chunk_id = c.id AND e.model_id = :model_id
WHERE c.tenant_id = :tenant_id AND c.collection_id = :collection_id AND {which}
ORDER BY c.ordinal LIMIT :most
"""
LIKE_WHICH = {
    "chunk_id": "c.id = :wanted",
    "document_id": "c.document_id = :wanted",
    "document_key": "d.collection_id = :collection_id AND d.key = :wanted",
}


async def find_nearest(session: AnySession, parameters: Mapping[str, Any]) -> list[Any]:
    """By cosine, unfiltered: columns in the order of `schemas.Hit`, best first. Nothing when the collection is not as
    the parameters say.
    """
    return await fetch(session, NEAREST, parameters)


async def look(session: AnySession, parameters: Mapping[str, Any]) -> Any | None:
    """The collection as it is now, and in how many of its passages each lexeme occurs."""
    rows = await fetch(session, LOOK, parameters)
    return rows[0] if rows else None


async def match_documents(
    session: AnySession, scope: Mapping[str, Any], condition: Filter, *, few: int, most: int
) -> tuple[int, list[object] | None]:
    """How many documents match, `most` at most, and their ids when they are `few` and were not found by an index."""
    sql, bound = compile_documents(condition)
    send = -1 if is_answered_by_indexes(condition) else few
    rows = await fetch(session, MATCH.format(documents=sql), {**scope, **bound, "few": send, "most": most})
    documents, ids = rows[0]
    return documents, ([] if documents == 0 and send >= 0 else ids)


async def find_pool(session: AnySession, shape: PoolShape, parameters: Mapping[str, Any]) -> list[Any]:
    """The candidates of both kinds: chunk_id, document_id, whether it is among the nearest, whether among those with
    the words, whether it has words that are excluded, distance or null, weights, saturation, length. By chunk_id, so
    that equal scores are ranked the same way every time.
    """
    statement, bound = compile_pool(shape)
    return await fetch(session, statement, {**parameters, **bound})


async def read_passages(
    session: AnySession,
    tenant_id: uuid.UUID,
    collection_ids: Sequence[uuid.UUID],
    chunk_ids: Sequence[uuid.UUID],
    *,
    with_vectors: bool,
) -> list[Any]:
    """Columns in the order of `schemas.Hit`, and the vector; in any order, without those that are gone or elsewhere."""
    statement = PASSAGES.format(vector=VECTOR_OF if with_vectors else "NULL")
    return await fetch(
        session,
        statement,
        {
            "tenant_id": tenant_id,
            "collection_ids": list(collection_ids),
            "chunk_ids": list(chunk_ids),
        },
    )


async def read_vectors(
    session: AnySession, tenant_id: uuid.UUID, model_id: int, chunk_ids: Sequence[uuid.UUID]
) -> list[Any]:
    parameters = {"tenant_id": tenant_id, "model_id": model_id, "chunk_ids": list(chunk_ids)}
    return await fetch(session, VECTORS, parameters)


async def read_neighbors(
    session: AnySession, tenant_id: uuid.UUID, places: Sequence[tuple[uuid.UUID, int]], around: int
) -> list[Any]:
    """Of each (document, ordinal), numbered from 1, the passages up to `around` before and after it."""
    parameters = {
        "tenant_id": tenant_id,
        "document_ids": [document_id for document_id, _ in places],
        "ordinals": [ordinal for _, ordinal in places],
        "around": around,
    }
    return await fetch(session, NEIGHBORS, parameters)


async def read_examples(
    session: AnySession, parameters: Mapping[str, Any], which: str, wanted: object, most: int
) -> list[Any]:
    """Chunk id, document id, vector and content of what is to be resembled."""
    statement = LIKE.format(which=LIKE_WHICH[which])
    return await fetch(session, statement, {**parameters, "wanted": wanted, "most": most})


async def sample_passages(
    session: AnySession, scope: Mapping[str, Any], chunks: int, size: int
) -> list[tuple[uuid.UUID, NDArray[np.float32]]]:
    """`size` of the collection's passages with their vectors, each set equally likely, in an order by chance."""
    share = min(1.0, (2 * size + 20) / max(chunks, 1))
    rows = await fetch(session, SAMPLE, {**scope, "share": share, "size": size})
    return [(row["chunk_id"], row["vector"]) for row in rows]


async def sample_vectors(
    session: AnySession, scope: Mapping[str, Any], chunks: int, size: int
) -> list[NDArray[np.float32]]:
    """Vectors of `size` passages, the same ones as long as the collection is the same."""
    most = math.ceil(DRAWN_VALUES * min(1.0, (2 * size + 20) / max(chunks, 1)))
    rows = await fetch(session, SAMPLE_STEADILY, {**scope, **DRAWN_CODES, "most": most, "size": size})
    return [row["vector"] for row in rows]
