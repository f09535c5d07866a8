import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Row, Text, Uuid, any_, delete, func, literal, text, update
from sqlalchemy.orm import aliased, defer, undefer
from sqlmodel import col, select

from ragstore.database import AsyncSession, fetch
from ragstore.document.filter_sql import compile_filter
from ragstore.document.filters import Filter
from ragstore.document.tables import Document

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
FIND_BY_KEYS = """
SELECT d.key, d.id, d.version, d.chunk_count, d.content_digest, d.record_digest, d.file_id FROM document d
WHERE d.tenant_id = :tenant_id AND d.collection_id = :collection_id AND d.key = ANY(CAST(:keys AS text[]))
"""
UPSERT = """
INSERT INTO document (tenant_id, collection_id, id, key, title, source, url, content, content_digest, record_digest,
    metadata, chunk_count, version, file_id)
SELECT :tenant_id, :collection_id, w.id, w.key, w.title, w.source, w.url, w.content, w.content_digest, w.record_digest,
    w.metadata::jsonb, w.chunk_count, 1, w.file_id
FROM unnest(
    CAST(:ids AS uuid[]), CAST(:keys AS text[]), CAST(:titles AS text[]), CAST(:sources AS text[]),
    CAST(:urls AS text[]), CAST(:contents AS text[]), CAST(:content_digests AS bytea[]),
    CAST(:record_digests AS bytea[]), CAST(:metadata AS text[]), CAST(:chunk_counts AS integer[]),
    CAST(:file_ids AS uuid[])
) w (id, key, title, source, url, content, content_digest, record_digest, metadata, chunk_count, file_id)
ORDER BY w.key COLLATE "C"
ON CONFLICT (tenant_id, collection_id, key) DO UPDATE SET
    title = excluded.title, source = excluded.source, url = excluded.url, content = excluded.content,
    content_digest = excluded.content_digest, record_digest = excluded.record_digest, metadata = excluded.metadata,
    chunk_count = excluded.chunk_count, file_id = excluded.file_id, version = document.version + 1, updated_at = now()
RETURNING key, id, version
"""
UPDATE_RECORDS = """
UPDATE document d SET source = w.source, url = w.url, metadata = w.metadata::jsonb, file_id = w.file_id,
    record_digest = w.record_digest, version = d.version + 1, updated_at = now()
FROM unnest(
    CAST(:ids AS uuid[]), CAST(:content_digests AS bytea[]), CAST(:record_digests AS bytea[]), CAST(:sources AS text[]),
    CAST(:urls AS text[]), CAST(:metadata AS text[]), CAST(:file_ids AS uuid[])
) w (id, content_digest, record_digest, source, url, metadata, file_id)
WHERE d.tenant_id = :tenant_id AND d.id = w.id AND d.content_digest = w.content_digest
RETURNING d.id, d.version
"""


async def plan_for_values(session: AsyncSession) -> None:
    """Until commit: a plan that was made for another filter's values may be slow for these."""
    await (await session.connection()).execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))


async def find_by_keys(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, keys: Sequence[str]
) -> list[Any]:
    """Key, id, version, chunk_count, content_digest, record_digest and file_id."""
    given = {"tenant_id": tenant_id, "collection_id": collection_id, "keys": list(keys)}
    return await fetch(session, FIND_BY_KEYS, given)


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


async def update_records(
    session: AsyncSession, tenant_id: uuid.UUID, columns: Mapping[str, Sequence[Any]]
) -> list[Any]:
    """Change what is not embedded, where the content is still the one that was looked at; id and new version of each.
    `columns`: ids, content_digests, record_digests, sources, urls, metadata as JSON text, file_ids.
    """
    return await fetch(session, UPDATE_RECORDS, {"tenant_id": tenant_id, **columns})


async def upsert_documents(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, columns: Mapping[str, Sequence[Any]]
) -> list[Any]:
    """Key, id (an existing document keeps its own) and version of each, in any order; locked until commit, in the order
    of their keys: writers of the same keys then wait for each other instead of deadlocking. `columns`: ids, keys,
    titles, sources, urls, contents, content_digests, record_digests, metadata as JSON text, chunk_counts, file_ids.
    """
    return await fetch(session, UPSERT, {"tenant_id": tenant_id, "collection_id": collection_id, **columns})


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


async def list_matching_keys(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, **which: Any
) -> Sequence[str]:
    """As `lock_matching`, without a lock."""
    return await select_matching(session, "d.key", "", tenant_id, collection_id, **which)


async def lock_matching(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, **which: Any
) -> Sequence[uuid.UUID]:
    """Until commit, in the order of their keys, as everybody locks. Only later statements see what whoever held the
    locks before has written: act on the documents in those. `which`: document_id, key, condition.
    """
    return await select_matching(session, "d.id", "FOR UPDATE", tenant_id, collection_id, **which)


async def select_matching(
    session: AsyncSession,
    what: str,
    lock: str,
    tenant_id: uuid.UUID,
    collection_id: uuid.UUID,
    *,
    document_id: uuid.UUID | None = None,
    key: str | None = None,
    condition: Filter | None = None,
) -> Sequence[Any]:
    sql, parameters = compile_filter(condition)
    only_id = "AND d.id = :document_id" if document_id is not None else ""
    only_key = "AND d.key = :key" if key is not None else ""
    statement = text(f"""
        SELECT {what} FROM document d
        WHERE d.tenant_id = :tenant_id AND d.collection_id = :collection_id {only_id} {only_key} AND {sql}
        ORDER BY d.key {lock}
    """)  # noqa: S608  # the filter names its values as parameters
    if condition is not None:
        await plan_for_values(session)
    given = {"tenant_id": tenant_id, "collection_id": collection_id, **parameters}
    given |= {"document_id": document_id} if document_id is not None else {}
    given |= {"key": key} if key is not None else {}
    return (await (await session.connection()).scalars(statement, given)).all()


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
