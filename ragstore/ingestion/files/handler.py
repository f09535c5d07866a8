"""The job that makes a document of an uploaded file."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import msgspec

from ragstore.collection.service import CollectionHandle, CollectionService
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import find_error
from ragstore.file.service import FileContent, FileService
from ragstore.ingestion.files.queries import find_stored, stand_on
from ragstore.ingestion.files.schemas import FileFields
from ragstore.ingestion.files.service import FileOutcome
from ragstore.ingestion.origins import Origin
from ragstore.ingestion.schemas import DocumentResult, DocumentUpsert
from ragstore.ingestion.service import IngestionService
from ragstore.job.context import JobContext
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
        wanted = msgspec.convert(context.payload, FilePayload)
        tenant_id = context.job.tenant_id
        async with context.transaction() as session:
            handle = await CollectionService(session, tenant_id).open_by_id(wanted.collection_id)
            stored = await find_stored(session, tenant_id, handle.id, wanted.fields.key or "")
            file = await FileService(session, tenant_id).read_content(wanted.file_id)
        parsed = await self.parser.parse(tenant_id, file.name, file.content)
        result = await self._store(context, handle, wanted, file, parsed)
        assert result.id is not None  # noqa: S101  # it is stored
        version = result.version or 0
        outcome = FileOutcome(result.id, result.status, version, result.chunks or 0, parsed.warnings)
        async with context.transaction() as session:
            files = FileService(session, tenant_id)
            await files.describe(wanted.file_id, parsed.media_type, parsed.metadata)
            await stand_on(session, tenant_id, result.id, version, wanted.file_id)  # also where only the bytes differ
            await context.finish(session, msgspec.to_builtins(outcome))
            replaced = [stored.file_id] if stored is not None else []
            await files.release([*replaced, wanted.file_id], job_id=context.job.id)
        return None

    async def _store(
        self,
        context: JobContext,
        handle: CollectionHandle,
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
        ingestion = IngestionService(context.database, self.embedders, index_threshold=self.index_threshold)
        origin = Origin(wanted.file_id, parsed.page_starts, parsed.markdown)
        answer = await ingestion.upsert(handle.name, [document], chunking=fields.chunking, origins={0: origin})
        result = answer.results[0]
        if result.error is not None:
            raise find_error(result.error.type)(result.error.detail)
        return result
