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
          AND j.state <> 'succeeded' AND j.id <> CAST(:except_job AS uuid)
      )
""")
NO_JOB = uuid.UUID(int=0)


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
    session: AsyncSession, tenant_id: uuid.UUID, ids: Sequence[uuid.UUID], job_id: uuid.UUID | None
) -> int:
    """Those that are not to be kept and that nothing has need of, but for the job that says so; how many went."""
    given = {"tenant_id": tenant_id, "ids": list(ids), "except_job": job_id or NO_JOB}
    return (await (await session.connection()).execute(RELEASE, given)).rowcount
