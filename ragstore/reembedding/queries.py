import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Row, Uuid, bindparam, delete, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from ragstore.collection.indexing import INDEX
from ragstore.collection.models import REEMBED
from ragstore.collection.schemas import Metric
from ragstore.collection.tables import Collection, EmbeddingModel
from ragstore.database import AnySession, AsyncSession, fetch
from ragstore.document.passages.queries import insert_embeddings
from ragstore.reembedding.tables import Reembedding
from ragstore.search.pool_sql import CODE_ORDERS, DISTANCES, SCOPE

DOCUMENTS = "CAST(:documents AS uuid[])"
HAS_VECTOR = """
    EXISTS (
        SELECT FROM embedding e
        WHERE e.tenant_id = :tenant_id AND e.chunk_id = c.id AND e.model_id = :model_id
    )
"""
# A bounded part of the collection, in an order that indexes give: passages by their documents.
PART = f"""
    SELECT c.document_id, c.ordinal, c.id, NOT {HAS_VECTOR} AS lacks
    FROM (
        SELECT k.document_id, k.ordinal, k.id FROM document d
        JOIN chunk k ON k.tenant_id = d.tenant_id AND k.document_id = d.id
        WHERE d.tenant_id = :tenant_id AND d.collection_id = :collection_id AND d.id >= :document_id
          AND (k.document_id, k.ordinal) > (:document_id, :ordinal)
        ORDER BY d.id, k.ordinal LIMIT :most
    ) c
    ORDER BY c.document_id, c.ordinal
"""  # noqa: S608  # no value in it
PASSAGES = text("""
    SELECT c.id, c.document_id, c.ordinal, d.key, d.title, c.content, c.metadata, c.digest, k.chunk_prefix
    FROM chunk c JOIN document d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
    JOIN collection k ON k.tenant_id = d.tenant_id AND k.id = d.collection_id
    WHERE c.tenant_id = :tenant_id AND c.id = ANY(:chunks)
    ORDER BY c.document_id, c.ordinal
""").bindparams(bindparam("chunks", type_=ARRAY(Uuid)))
# In the order of their keys, as everybody locks documents. Who replaces or deletes one waits, who reads it does not.
HOLD_DOCUMENTS = text(f"""
    SELECT d.id FROM document d WHERE d.tenant_id = :tenant_id AND d.id = ANY({DOCUMENTS})
    ORDER BY d.key FOR NO KEY UPDATE
""")  # noqa: S608  # as above
STILL_LACKING = text(f"""
    SELECT c.id FROM chunk c WHERE c.tenant_id = :tenant_id AND c.id = ANY(:chunks) AND NOT {HAS_VECTOR}
""").bindparams(bindparam("chunks", type_=ARRAY(Uuid)))  # noqa: S608  # as above
MODEL_SCOPE = "e.tenant_id = :tenant_id AND e.collection_id = :collection_id AND e.model_id = :model_id"
COUNT = text(f"SELECT count(*) FROM embedding e WHERE {MODEL_SCOPE}")  # noqa: S608  # as above
HAS_GAP = text("""
    SELECT EXISTS (
        SELECT FROM embedding a
        WHERE a.tenant_id = :tenant_id AND a.collection_id = :collection_id AND a.model_id = :searched_id
          AND NOT EXISTS (
            SELECT FROM embedding b
            WHERE b.tenant_id = :tenant_id AND b.collection_id = :collection_id AND b.model_id = :model_id
              AND b.chunk_id = a.chunk_id
          )
    )
""")
# What somebody else deletes at this moment is passed over: it will be gone.
DROP = text(f"""
    DELETE FROM embedding x WHERE x.tenant_id = :tenant_id AND x.ctid = ANY(ARRAY(
        SELECT e.ctid FROM embedding e WHERE {MODEL_SCOPE} LIMIT :most FOR UPDATE SKIP LOCKED
    ))
""")  # noqa: S608  # as above
EARLIER = text("""
    SELECT EXISTS (
        SELECT FROM job WHERE tenant_id = :tenant_id AND kind = :kind AND dedupe_key = :key AND state = 'running'
        AND id < :id
    )
""")
FAILED = text("""
    SELECT id FROM (
        SELECT id, state FROM job WHERE tenant_id = :tenant_id AND kind = :kind AND dedupe_key = :key
        ORDER BY id DESC LIMIT 1
    ) latest WHERE state = 'failed'
""")
NEAREST = """
    ARRAY(
        SELECT e.chunk_id FROM {among} WHERE {scope} AND e.chunk_id IS DISTINCT FROM CAST(:left_out AS uuid)
        ORDER BY {distance}, e.chunk_id LIMIT :top_k
    )
"""
AMONG_CODES = """(
        SELECT e.* FROM embedding e WHERE {scope} ORDER BY {order} LIMIT :depth
    ) e"""


FIRST = uuid.UUID(int=0)


@dataclass(frozen=True)
class Position:
    """The last passage that was looked at; in the beginning none."""

    document_id: uuid.UUID = FIRST
    ordinal: int = -1


async def execute(session: AsyncSession, statement: Any, given: Mapping[str, Any]) -> Any:
    return await (await session.connection()).execute(statement, given)


async def find(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID) -> Reembedding | None:
    statement = (
        select(Reembedding)
        .where(col(Reembedding.tenant_id) == tenant_id, col(Reembedding.collection_id) == collection_id)
        .execution_options(populate_existing=True)
    )
    return (await session.exec(statement)).one_or_none()


async def save(session: AsyncSession, values: dict[str, Any]) -> None:
    """A change that begins, in the place of one that is over."""
    statement = insert(Reembedding).values(**values)
    kept = ("tenant_id", "collection_id")
    changes = {name: statement.excluded[name] for name in values if name not in kept}
    anew = {"overlap": None, "switched_at": None, "started_at": statement.excluded.started_at}
    await session.exec(statement.on_conflict_do_update(index_elements=list(kept), set_=changes | anew))


async def change(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, **changes: Any) -> None:
    await session.exec(
        update(Reembedding)
        .where(col(Reembedding.tenant_id) == tenant_id, col(Reembedding.collection_id) == collection_id)
        .values(**changes)
    )


async def forget(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID) -> None:
    """A change of which nothing is left to drop."""
    await session.exec(
        delete(Reembedding).where(
            col(Reembedding.tenant_id) == tenant_id,
            col(Reembedding.collection_id) == collection_id,
            col(Reembedding.state) == "dropping",
        )
    )


async def find_collection(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID) -> Collection | None:
    """As it is now, whatever the session has read before."""
    statement = (
        select(Collection)
        .where(col(Collection.tenant_id) == tenant_id, col(Collection.id) == collection_id)
        .execution_options(populate_existing=True)
    )
    return (await session.exec(statement)).one_or_none()


async def list_models(session: AsyncSession, tenant_id: uuid.UUID) -> dict[int, str]:
    statement = select(col(EmbeddingModel.id), col(EmbeddingModel.name)).where(
        col(EmbeddingModel.tenant_id) == tenant_id
    )
    return {model_id: name for model_id, name in (await session.exec(statement)).all()}


async def list_part(
    session: AsyncSession, scope: Mapping[str, Any], after: Position, most: int
) -> list[tuple[uuid.UUID, int, uuid.UUID, bool]]:
    """Document, ordinal and id of the next passages, and whether they lack a vector of the model."""
    given = {**scope, "document_id": after.document_id, "ordinal": after.ordinal, "most": most}
    return [tuple(row) for row in await fetch(session, PART, given)]


async def read_passages(
    session: AsyncSession, tenant_id: uuid.UUID, chunk_ids: Sequence[uuid.UUID]
) -> Sequence[Row[Any]]:
    found: Sequence[Row[Any]] = (
        await execute(session, PASSAGES, {"tenant_id": tenant_id, "chunks": list(chunk_ids)})
    ).all()
    return found


async def hold_documents(session: AsyncSession, tenant_id: uuid.UUID, document_ids: Sequence[uuid.UUID]) -> None:
    """Until commit none of them gets other passages."""
    await execute(session, HOLD_DOCUMENTS, {"tenant_id": tenant_id, "documents": list(document_ids)})


async def store_lacking(
    session: AsyncSession, tenant_id: uuid.UUID, model_id: int, rows: Sequence[Sequence[Any]]
) -> int:
    """Rows of embeddings (tenant, collection, document, chunk, …), but not where the passage is gone or has one."""
    given = {"tenant_id": tenant_id, "model_id": model_id, "chunks": [chunk_id for _, _, _, chunk_id, *_ in rows]}
    lacking = set((await execute(session, STILL_LACKING, given)).scalars())
    kept = [row for row in rows if row[3] in lacking]
    await insert_embeddings(session, kept)
    return len(kept)


async def is_another_running(session: AsyncSession, tenant_id: uuid.UUID, job_id: uuid.UUID, key: str) -> bool:
    """Whether an older job does the same at this moment."""
    given = {"tenant_id": tenant_id, "kind": REEMBED, "key": key, "id": job_id}
    found: bool = (await execute(session, EARLIER, given)).scalar_one()
    return found


async def find_failed_build(session: AsyncSession, tenant_id: uuid.UUID, key: str) -> uuid.UUID | None:
    """The latest job for the index, if it failed."""
    given = {"tenant_id": tenant_id, "kind": INDEX, "key": key}
    found: uuid.UUID | None = (await execute(session, FAILED, given)).scalar_one_or_none()
    return found


async def count_vectors(session: AsyncSession, scope: Mapping[str, Any]) -> int:
    found: int = (await execute(session, COUNT, scope)).scalar_one()
    return found


async def has_gap(session: AsyncSession, scope: Mapping[str, Any], searched_id: int) -> bool:
    """Whether a passage has a vector of the model that searches use, and none of the scope's."""
    found: bool = (await execute(session, HAS_GAP, {**scope, "searched_id": searched_id})).scalar_one()
    return found


async def drop_vectors(session: AsyncSession, scope: Mapping[str, Any], most: int) -> int:
    dropped: int = (await execute(session, DROP, {**scope, "most": most})).rowcount
    return dropped


async def find_nearest(session: AnySession, metric: Metric, given: Mapping[str, Any], *, by_codes: bool) -> list[Any]:
    """The nearest of one model, best first; `by_codes` of the `depth` whose codes are the nearest."""
    among = AMONG_CODES.format(scope=SCOPE, order=CODE_ORDERS[metric]) if by_codes else "embedding e"
    part = NEAREST.format(among=among, scope=SCOPE, distance=DISTANCES[metric])
    rows = await fetch(session, f"SELECT {part} AS nearest", given)
    return list(rows[0]["nearest"])
