"""The job that makes a document of an uploaded file."""

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import msgspec

from ragstore.collection.service import CollectionService
from ragstore.document.accepted.service import Superseded
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import Conflict, find_error
from ragstore.file.service import FileContent, FileService
from ragstore.ingestion.files.queries import find_stored, stand_on
from ragstore.ingestion.files.schemas import FileFields
from ragstore.ingestion.files.service import FileOutcome
from ragstore.ingestion.origins import Origin
from ragstore.ingestion.schemas import DocumentResult, DocumentUpsert
from ragstore.ingestion.service import IngestionService
from ragstore.job.context import JobContext
from ragstore.job.outcomes import RetryLater
from ragstore.parsing.parsed import ParsedFile
from ragstore.parsing.supervisor import Parser


class FilePayload(msgspec.Struct):
    collection_id: uuid.UUID
    file_id: uuid.UUID
    fields: FileFields


@dataclass(frozen=True)
class FileHandler:
    """No connection is held while a file is read. What is wrong with a file ends its job; the document that stood
    under the key stays as it was.
    """

    parser: Parser
    embedders: EmbedderRegistry
    index_threshold: int | None = None

    async def run(self, context: JobContext) -> Mapping[str, Any] | None:
        if not self.parser.has_room:
            raise RetryLater(random.uniform(0.3, 0.7))  # noqa: S311  # others' jobs need the worker meanwhile
        wanted = msgspec.convert(context.payload, FilePayload)
        tenant_id = context.job.tenant_id
        async with context.transaction() as session:
            handle = await CollectionService(session, tenant_id).open_by_id(wanted.collection_id)
            stored = await find_stored(session, tenant_id, handle.id, wanted.fields.key or "")
            file = await FileService(session, tenant_id).read_content(wanted.file_id)
        parsed = await self.parser.parse(tenant_id, file.name, file.content)
        try:
            result = await self._store(context, wanted, file, parsed)
        except Superseded:
            await self._settle_again(context, wanted, parsed)
            return None
        assert result.id is not None  # noqa: S101  # it is stored
        version = result.version or 0
        outcome = FileOutcome(result.id, result.status, version, result.chunks or 0, parsed.warnings)
        async with context.transaction() as session:
            files = FileService(session, tenant_id)
            await files.describe(wanted.file_id, parsed.media_type, parsed.metadata)
            await stand_on(session, tenant_id, result.id, version, wanted.file_id)  # also where only the bytes differ
            await context.report(done=1, total=1, counts={"chunks": outcome.chunks}, session=session)
            await context.finish(session, msgspec.to_builtins(outcome))
            replaced = [stored.file_id] if stored is not None else []
            await files.release([*replaced, wanted.file_id], job_id=context.job.id)
        return None

    async def _settle_again(self, context: JobContext, wanted: FilePayload, parsed: ParsedFile) -> None:
        """Its key is no longer the job's: it has stored the document and was broken off before it said so, or the key
        was posted, uploaded or deleted since, and what was asked last counts.
        """
        tenant_id = context.job.tenant_id
        async with context.transaction() as session:
            files = FileService(session, tenant_id)
            stored = await find_stored(session, tenant_id, wanted.collection_id, wanted.fields.key or "")
            if stored is None or stored.file_id != wanted.file_id:
                await files.release([wanted.file_id], job_id=context.job.id)
                await context.call_off(session, Conflict("The document was written or deleted after this upload."))
                return
            status = "created" if stored.version == 1 else "updated"
            outcome = FileOutcome(stored.document_id, status, stored.version, stored.chunk_count, parsed.warnings)
            await files.describe(wanted.file_id, parsed.media_type, parsed.metadata)
            await context.report(done=1, total=1, counts={"chunks": outcome.chunks}, session=session)
            await context.finish(session, msgspec.to_builtins(outcome))

    async def _store(
        self,
        context: JobContext,
        wanted: FilePayload,
        file: FileContent,
        parsed: ParsedFile,
    ) -> DocumentResult:
        fields = wanted.fields
        document = DocumentUpsert(
            content=parsed.content,
            key=fields.key,
            title=fields.title or parsed.title or PurePosixPath(file.name).stem or None,
            source=fields.source,
            url=fields.url,
            metadata=fields.metadata,
        )
        ingestion = IngestionService(
            context.database, self.embedders, index_threshold=self.index_threshold, job_id=context.job.id
        )
        origin = Origin(wanted.file_id, parsed.page_starts, parsed.markdown)
        answer = await ingestion.upsert(wanted.collection_id, [document], chunking=fields.chunking, origins={0: origin})
        result = answer.results[0]
        if result.error is not None:
            raise find_error(result.error.type)(result.error.detail)
        return result
