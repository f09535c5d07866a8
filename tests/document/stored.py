"""Documents straight into the tables, with their entries, where a test needs many or odd ones."""

import json
import uuid
from collections.abc import Sequence

from sqlalchemy import insert, text

from ragstore.columns import new_id
from ragstore.database import AsyncSession, Database
from ragstore.document.entries import list_entries
from ragstore.document.filter_sql import compile_documents, compile_filter, compile_test
from ragstore.document.filters import parse_filter
from ragstore.document.queries import replace_entries
from ragstore.document.tables import Document
from tests.conftest import make_settings
from tests.document.plain_reading import Stored

WORLD = (
    "INSERT INTO tenant (id, name) VALUES (:id, :name)",
    "INSERT INTO embedding_model (tenant_id, id, name, code_version) VALUES (:id, 1, 'local', 1)",
    "INSERT INTO collection (tenant_id, id, name, model_id, chunk_size, chunk_overlap, language)"
    " VALUES (:id, :id, 'docs', 1, 512, 64, 'english')",
)
DOCUMENTS = (
    "INSERT INTO document (tenant_id, collection_id, id, key, source, metadata, content, content_digest, record_digest,"
    " version, chunk_count) SELECT CAST(:id AS uuid), CAST(:id AS uuid), gen_random_uuid(), n::text, "
)
OLD_DOCUMENTS = (
    DOCUMENTS + "'book', jsonb_build_object('year', n, 'none', null, 'share', n / 7.0, 'list', '[1]'::jsonb, '@at', n),"
    " '', '', '', 1, 0 FROM generate_series(1, CAST(:count AS integer)) n"
)
ODD_DOCUMENTS = (
    DOCUMENTS + "NULL, CASE n WHEN 1 THEN '{}'::jsonb ELSE jsonb_build_object('n', CAST(:digits AS numeric)) END,"
    " '', '', '', 1, 0 FROM generate_series(1, CAST(:count AS integer)) n"
)
OLD_ENTRIES = 2500 * 5 + 1


async def store_documents(owner: Database, documents: Sequence[Stored]) -> uuid.UUID:
    """Into a new tenant; its collection has the same id."""
    tenant_id = new_id()
    rows = [
        {
            "tenant_id": tenant_id,
            "collection_id": tenant_id,
            "id": one.id,
            "key": one.key,
            "source": one.source,
            "metadata": one.metadata,
            "created_at": one.created_at,
            "content": "text",
            "content_digest": b"",
            "record_digest": b"",
            "version": 1,
            "chunk_count": 0,
        }
        for one in documents
    ]
    async with owner.transaction() as session:
        connection = await session.connection()
        for statement in WORLD:
            await connection.execute(text(statement), {"id": tenant_id, "name": "filled"})
        await connection.execute(insert(Document.__table__), rows)  # type: ignore[attr-defined]  # past the ORM
        entries = {one.id: list_entries(one.source, one.metadata) for one in documents}
        await replace_entries(session, tenant_id, tenant_id, entries)
    return tenant_id


async def store_old_documents(url: str) -> None:
    """As revision 0004 knew them, of two tenants: 2,500 with five entries each, one with none, and one odd number."""
    owner = Database.connect(url, make_settings(url))
    async with owner.transaction() as session:
        connection = await session.connection()
        for name, count in (("one", 2500), ("two", 2)):
            given = {"id": new_id(), "name": name, "count": count, "digits": "9" * 5000}
            for statement in (*WORLD, OLD_DOCUMENTS if name == "one" else ODD_DOCUMENTS):
                await connection.execute(text(statement), given)
    await owner.close()


async def count_entries(owner: Database) -> int:
    async with owner.transaction() as session:
        return int(await (await session.connection()).scalar(text("SELECT count(*) FROM metadata_entry")) or 0)


async def find_ids(session: AsyncSession, tenant_id: uuid.UUID, tree: object) -> set[uuid.UUID]:
    """In each of the three ways, which have to agree."""
    scope = {"tenant_id": tenant_id, "collection_id": tenant_id}
    connection = await session.connection()
    ways = []
    for condition, parameters in (compile_filter(parse_filter(tree)), compile_test(parse_filter(tree))):
        statement = text(
            "SELECT d.id FROM document d"
            f" WHERE d.tenant_id = :tenant_id AND d.collection_id = :collection_id AND {condition}"
        )
        ways.append(set(await connection.scalars(statement, parameters | scope)))
    documents, parameters = compile_documents(parse_filter(tree))
    listed = (await connection.scalars(text(documents), parameters | scope)).all()
    assert len(listed) == len(set(listed)), tree
    assert ways == [set(listed)] * 2, tree
    return set(listed)


async def list_entry_differences(owner: Database) -> list[tuple[object, ...]]:
    """Rows of `metadata_entry` that are too many or missing, by what the documents say. Sees every tenant."""
    async with owner.transaction() as session:
        connection = await session.connection()
        statement = text(
            "SELECT tenant_id, collection_id, id, source, CAST(metadata AS text) AS metadata FROM document"
        )
        documents = (await connection.execute(statement)).all()
        entries = await connection.execute(
            text("SELECT tenant_id, collection_id, document_id, entry FROM metadata_entry")
        )
        stored = {tuple(row) for row in entries}
    wanted = {
        (row.tenant_id, row.collection_id, row.id, entry)
        for row in documents
        for entry in list_entries(row.source, json.loads(row.metadata, parse_int=float))
    }
    return sorted(stored ^ wanted)
