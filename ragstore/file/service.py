import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragstore.columns import new_id
from ragstore.database import AsyncSession
from ragstore.errors import NotFound
from ragstore.file import queries
from ragstore.file.schemas import FileRead
from ragstore.file.tables import File


@dataclass(frozen=True)
class FileContent:
    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class FileService:
    """Uploaded bytes. Raises NotFound for a file the tenant does not have."""

    session: AsyncSession
    tenant_id: uuid.UUID

    async def store(
        self,
        name: str,
        media_type: str,
        content: bytes,
        *,
        keep: bool,
        digest: bytes | None = None,
        asked: bytes | None = None,
    ) -> FileRead:
        """`keep=False`: it goes when no document stands on it and no unfinished job names it as `file_id`. `digest` is
        the content's SHA-256 where that is known. `asked` tells what the file was to become from other wishes.
        """
        row = File(
            tenant_id=self.tenant_id,
            id=new_id(),
            name=name,
            media_type=media_type,
            size=len(content),
            digest=digest or hashlib.sha256(content).digest(),
            content=content,
            keep=keep,
            meta={},
            asked=asked,
        )
        self.session.add(row)
        await self.session.flush()
        await self.session.refresh(row, ["created_at"])
        return to_read(row)

    async def read(self, file_id: uuid.UUID) -> FileRead:
        row = await queries.find_file(self.session, self.tenant_id, file_id)
        if row is None:
            raise file_missing(file_id)
        return to_read(row)

    async def read_content(self, file_id: uuid.UUID) -> FileContent:
        found = await queries.read_content(self.session, self.tenant_id, file_id)
        if found is None:
            raise file_missing(file_id)
        return FileContent(*found)

    async def describe(self, file_id: uuid.UUID, media_type: str, metadata: Mapping[str, Any]) -> None:
        """What is known of it since it was read."""
        await queries.describe_file(self.session, self.tenant_id, file_id, media_type, dict(metadata))

    async def release(
        self, ids: Sequence[uuid.UUID], *, job_id: uuid.UUID | None = None, job_ids: Sequence[uuid.UUID] = ()
    ) -> int:
        """Delete those that nobody asked to keep and that nothing needs any more; how many. `job_id` is the job that is
        ending, `job_ids` are jobs that can never be done any more.

        Call it in the transaction that took the documents away, or that ends the job.
        """
        ending = [*job_ids, *([job_id] if job_id else [])]
        return await queries.release_files(self.session, self.tenant_id, ids, ending) if ids else 0

    async def list_ids_of_collection(self, collection_id: uuid.UUID) -> Sequence[uuid.UUID]:
        """Of the files that documents of the collection stand on."""
        return await queries.list_ids_of_collection(self.session, self.tenant_id, collection_id)


def file_missing(file_id: uuid.UUID) -> NotFound:
    return NotFound(f"There is no file {file_id}.")


def to_read(row: File) -> FileRead:
    return FileRead(row.id, row.name, row.media_type, row.size, row.digest.hex(), row.meta, row.created_at)
