import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Row, Text, Uuid, any_, delete, func, insert, literal, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import aliased, defer, undefer
from sqlmodel import SQLModel, col, select

from ragstore.database import AsyncSession
from ragstore.document.filter_sql import compile_filter
from ragstore.document.filters import Filter
from ragstore.document.tables import Chunk, Document, Embedding

# The two parts see the same snapshot, and touch no row both.
REPLACE_ENTRIES = text("""
    WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:owners AS uuid[]), CAST(:entries AS bytea[])) AS w (document_id, entry)
    ), gone AS (
        DELETE FROM metadata_entry x
        WHERE x.tenant_id = :tenant_id AND x.document_id = ANY(CAST(:documents AS uuid[]))
          AND (x.document_id, x.entry) NOT IN (SELECT w.document_id, w.entry FROM wanted w)
    )
    INSERT INTO metadata_entry (tenant_id, collection_id, document_id, entry)
    SELECT :tenant_id, :collection_id, w.document_id, w.entry FROM wanted w
    ON CONFLICT DO NOTHING
""")
COLUMN_NAMES = {"meta": "metadata"}  # attributes that are named otherwise than their column


async def plan_for_values(session: AsyncSession) -> None:
    """Until commit: a plan that was made for another filter's values may be slow for these."""
    await (await session.connection()).execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))


async def find_by_keys(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, keys: Sequence[str]
) -> Sequence[Document]:
    """Without their content."""
    statement = (
        select(Document)
        .options(defer(Document.content))  # type: ignore[arg-type]  # a column at class level
        .where(
            col(Document.tenant_id) == tenant_id,
            col(Document.collection_id) == collection_id,
            col(Document.key) == any_(literal(keys, ARRAY(Text))),
        )
    )
    return (await session.exec(statement)).all()


async def lock_documents(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, keys: Sequence[str]
) -> None:
    """Until commit, those that exist, in the order of their keys: the one order in which everybody locks documents."""
    await session.exec(
        select(col(Document.id))
        .where(
            col(Document.tenant_id) == tenant_id,
            col(Document.collection_id) == collection_id,
            col(Document.key) == any_(literal(keys, ARRAY(Text))),
        )
        .order_by(col(Document.key))
        .with_for_update()
    )


async def find_document(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, document_id: uuid.UUID, *, lock: bool = False
) -> Document | None:
    statement = select(Document).where(
        col(Document.tenant_id) == tenant_id,
        col(Document.collection_id) == collection_id,
        col(Document.id) == document_id,
    )
    if lock:
        statement = statement.with_for_update()
    return (await session.exec(statement)).one_or_none()


async def list_documents(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    collection_id: uuid.UUID,
    *,
    key: str | None,
    condition: Filter | None,
    after: uuid.UUID | None,
    limit: int,
    with_content: bool,
) -> Sequence[Document]:
    """In the order they were first stored."""
    sql, parameters = compile_filter(condition)
    d = aliased(Document, name="d")  # the name a filter's SQL uses
    statement = (
        select(d)
        .options((undefer if with_content else defer)(d.content))  # type: ignore[arg-type]  # as above
        .where(col(d.tenant_id) == tenant_id, col(d.collection_id) == collection_id, text(sql))
        .order_by(col(d.id))
        .limit(limit)
    )
    if key is not None:
        statement = statement.where(col(d.key) == key)
    if after is not None:
        statement = statement.where(col(d.id) > after)
    if condition is not None:
        await plan_for_values(session)
    parameters |= {"tenant_id": tenant_id, "collection_id": collection_id}
    return (await session.exec(statement, params=parameters)).all()


async def update_document(
    session: AsyncSession, tenant_id: uuid.UUID, document_id: uuid.UUID, changes: dict[str, Any]
) -> None:
    await session.exec(
        update(Document)
        .where(col(Document.tenant_id) == tenant_id, col(Document.id) == document_id)
        .values(**changes, version=col(Document.version) + 1, updated_at=func.now())
    )


async def update_record(
    session: AsyncSession, tenant_id: uuid.UUID, document_id: uuid.UUID, content_digest: bytes, changes: dict[str, Any]
) -> int | None:
    """Change what is not embedded, if the content is still the one that was looked at; answers the new version."""
    statement = (
        update(Document)
        .where(
            col(Document.tenant_id) == tenant_id,
            col(Document.id) == document_id,
            col(Document.content_digest) == content_digest,
        )
        .values(**changes, version=col(Document.version) + 1, updated_at=func.now())
        .returning(col(Document.version))
    )
    return (await session.exec(statement)).scalar_one_or_none()


async def upsert_documents(
    session: AsyncSession, rows: Sequence[dict[str, Any]]
) -> Sequence[tuple[str, uuid.UUID, int]]:
    """Key, id (an existing document keeps its own) and version of each, in any order; locked until commit.

    Rows come sorted by key: writers of the same keys then wait for each other instead of deadlocking.
    """
    statement = postgresql.insert(Document)
    kept = ("tenant_id", "collection_id", "id", "key")
    statement = statement.on_conflict_do_update(
        index_elements=["tenant_id", "collection_id", "key"],
        set_={COLUMN_NAMES.get(name, name): statement.excluded[COLUMN_NAMES.get(name, name)] for name in rows[0]
              if name not in kept}
        | {"version": col(Document.version) + 1, "updated_at": func.now()},
    )  # fmt: skip
    returning = statement.returning(col(Document.key), col(Document.id), col(Document.version))
    return [(key, id_, version) for key, id_, version in (await session.exec(returning, params=rows)).all()]


async def insert_rows(session: AsyncSession, table: type[SQLModel], rows: Sequence[dict[str, Any]]) -> None:
    """One executemany, past the ORM: twice as fast for vectors."""
    if rows:
        connection = await session.connection()
        await connection.execute(insert(table.__table__), rows)  # type: ignore[attr-defined]  # see above


async def replace_entries(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, entries: Mapping[uuid.UUID, Sequence[bytes]]
) -> None:
    """By document. What a document has already stays as it is, so that only what differs is written."""
    connection = await session.connection()
    parameters = {
        "tenant_id": tenant_id,
        "collection_id": collection_id,
        "documents": list(entries),
        "owners": [document_id for document_id, found in entries.items() for _ in found],
        "entries": [one for found in entries.values() for one in found],
    }
    await connection.execute(REPLACE_ENTRIES, parameters)


async def delete_chunks(session: AsyncSession, tenant_id: uuid.UUID, document_ids: Sequence[uuid.UUID]) -> int:
    """With their embeddings; answers how many there were."""
    done = await session.exec(
        delete(Chunk).where(
            col(Chunk.tenant_id) == tenant_id,
            col(Chunk.document_id) == any_(literal(document_ids, ARRAY(Uuid))),
        )
    )
    return done.rowcount


async def lock_matching(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    collection_id: uuid.UUID,
    *,
    document_id: uuid.UUID | None = None,
    key: str | None = None,
    condition: Filter | None = None,
) -> Sequence[uuid.UUID]:
    """Until commit, in the order of their keys, as everybody locks. Only later statements see what whoever held the
    locks before has written: act on the documents in those.
    """
    sql, parameters = compile_filter(condition)
    only_id = "AND d.id = :document_id" if document_id is not None else ""
    only_key = "AND d.key = :key" if key is not None else ""
    lock = text(f"""
        SELECT d.id FROM document d
        WHERE d.tenant_id = :tenant_id AND d.collection_id = :collection_id {only_id} {only_key} AND {sql}
        ORDER BY d.key FOR UPDATE
    """)  # noqa: S608  # the filter names its values as parameters
    if condition is not None:
        await plan_for_values(session)
    given = {"tenant_id": tenant_id, "collection_id": collection_id, **parameters}
    given |= {"document_id": document_id} if document_id is not None else {}
    given |= {"key": key} if key is not None else {}
    return (await (await session.connection()).scalars(lock, given)).all()


async def delete_documents(
    session: AsyncSession, tenant_id: uuid.UUID, document_ids: Sequence[uuid.UUID]
) -> Sequence[Row[Any]]:
    """With all they have; answers `key`, `chunk_count` and `file_id` of each that went."""
    gone = (
        delete(Document)
        .where(col(Document.tenant_id) == tenant_id, col(Document.id) == any_(literal(document_ids, ARRAY(Uuid))))
        .returning(col(Document.key), col(Document.chunk_count), col(Document.file_id))
    )
    return (await session.exec(gone)).all()


async def list_chunks(
    session: AsyncSession, tenant_id: uuid.UUID, document_id: uuid.UUID, after: int | None, limit: int
) -> Sequence[Chunk]:
    statement = (
        select(Chunk)
        .where(col(Chunk.tenant_id) == tenant_id, col(Chunk.document_id) == document_id)
        .order_by(col(Chunk.ordinal))
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(Chunk.ordinal) > after)
    return (await session.exec(statement)).all()


async def insert_chunks(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    await insert_rows(session, Chunk, rows)


async def insert_embeddings(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    await insert_rows(session, Embedding, rows)
