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


async def find_stored(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, key: str
) -> StoredFile | None:
    """None when there is no such document, or it was read from no file."""
    given = {"tenant_id": tenant_id, "collection_id": collection_id, "key": key}
    row = (await (await session.connection()).execute(STORED, given)).one_or_none()
    return None if row is None else StoredFile(*row)
