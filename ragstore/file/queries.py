import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text, update
from sqlalchemy.orm import defer
from sqlmodel import col, select

from ragstore.database import AsyncSession
from ragstore.file.tables import File

# A job that did not succeed may be tried again, and then reads its file.
RELEASE = text("""
    DELETE FROM file f
    WHERE f.tenant_id = :tenant_id AND f.id = ANY(CAST(:ids AS uuid[])) AND NOT f.keep
      AND NOT EXISTS (SELECT FROM document d WHERE d.tenant_id = f.tenant_id AND d.file_id = f.id)
      AND NOT EXISTS (
        SELECT FROM job j
        WHERE j.tenant_id = f.tenant_id AND j.payload ? 'file_id' AND j.payload ->> 'file_id' = f.id::text
          AND j.state <> 'succeeded' AND NOT (j.id = ANY(CAST(:except_jobs AS uuid[])))
      )
""")
OF_COLLECTION = text("""
    SELECT DISTINCT d.file_id FROM document d
    WHERE d.tenant_id = :tenant_id AND d.collection_id = :collection_id AND d.file_id IS NOT NULL
""")


async def find_file(session: AsyncSession, tenant_id: uuid.UUID, file_id: uuid.UUID) -> File | None:
    """Without its content."""
    statement = select(File).where(col(File.tenant_id) == tenant_id, col(File.id) == file_id)
    return (await session.exec(statement.options(defer(File.content)))).one_or_none()  # type: ignore[arg-type]


async def read_content(
    session: AsyncSession, tenant_id: uuid.UUID, file_id: uuid.UUID
) -> tuple[str, str, bytes] | None:
    """Name, media type and bytes."""
    statement = select(File.name, File.media_type, File.content)
    found = await session.exec(statement.where(col(File.tenant_id) == tenant_id, col(File.id) == file_id))
    row = found.one_or_none()
    return None if row is None else (row[0], row[1], row[2])


async def describe_file(
    session: AsyncSession, tenant_id: uuid.UUID, file_id: uuid.UUID, media_type: str, metadata: dict[str, Any]
) -> None:
    which = (col(File.tenant_id) == tenant_id, col(File.id) == file_id)
    await session.exec(update(File).where(*which).values(media_type=media_type, meta=metadata))


async def release_files(
    session: AsyncSession, tenant_id: uuid.UUID, ids: Sequence[uuid.UUID], job_ids: Sequence[uuid.UUID]
) -> int:
    """Those that are not to be kept and that nothing has need of, but for these jobs; how many went."""
    given = {"tenant_id": tenant_id, "ids": list(ids), "except_jobs": list(job_ids)}
    return (await (await session.connection()).execute(RELEASE, given)).rowcount


async def list_ids_of_collection(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID
) -> Sequence[uuid.UUID]:
    """Of the files that documents of the collection stand on."""
    given = {"tenant_id": tenant_id, "collection_id": collection_id}
    return (await (await session.connection()).scalars(OF_COLLECTION, given)).all()
