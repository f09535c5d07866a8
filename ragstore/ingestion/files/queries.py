import uuid
from dataclasses import dataclass

from sqlalchemy import text

from ragstore.database import AsyncSession


@dataclass(frozen=True)
class StoredFile:
    """A document and the file it was read from."""

    document_id: uuid.UUID
    version: int
    chunk_count: int
    record_digest: bytes
    file_id: uuid.UUID
    digest: bytes
    asked: bytes | None


STORED = text("""
    SELECT d.id, d.version, d.chunk_count, d.record_digest, f.id, f.digest, f.asked
    FROM document d JOIN file f ON f.tenant_id = d.tenant_id AND f.id = d.file_id
    WHERE d.tenant_id = :tenant_id AND d.collection_id = :collection_id AND d.key = :key
""")


STAND_ON = text("""
    UPDATE document SET file_id = :file_id
    WHERE tenant_id = :tenant_id AND id = :document_id AND version = :version AND file_id IS DISTINCT FROM :file_id
""")


async def stand_on(
    session: AsyncSession, tenant_id: uuid.UUID, document_id: uuid.UUID, version: int, file_id: uuid.UUID
) -> None:
    """The document was read from this file, if it is still of this version."""
    given = {"tenant_id": tenant_id, "document_id": document_id, "version": version, "file_id": file_id}
    await (await session.connection()).execute(STAND_ON, given)


async def find_stored(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, key: str
) -> StoredFile | None:
    """None when there is no such document, or it was read from no file."""
    given = {"tenant_id": tenant_id, "collection_id": collection_id, "key": key}
    row = (await (await session.connection()).execute(STORED, given)).one_or_none()
    return None if row is None else StoredFile(*row)
