"""The job that makes a document of an uploaded file."""

import random
import uuid
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TypeVar, cast

import msgspec

from ragstore.collection.service import CollectionService
from ragstore.database import AsyncSession
from ragstore.document.accepted.service import Superseded
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import Conflict
from ragstore.file.service import FileContent, FileService
from ragstore.idempotency.service import Recorder
from ragstore.ingestion.files.queries import find_stored, stand_on
from ragstore.ingestion.files.schemas import FileFields
from ragstore.ingestion.files.service import FileOutcome
from ragstore.ingestion.origins import Origin
from ragstore.ingestion.schemas import DocumentUpsert, UpsertResults
from ragstore.ingestion.service import IngestionService
from ragstore.job.context import JobContext
from ragstore.job.outcomes import RetryLater
from ragstore.parsing.parsed import ParsedFile
from ragstore.parsing.supervisor import Parser

Value = TypeVar("Value")


class FilePayload(msgspec.Struct):
    collection_id: uuid.UUID
    file_id: uuid.UUID
    fields: FileFields


@dataclass(frozen=True)
class FileRecorder(Recorder):
    """Ends the job in the transaction that stores its document; `replaced` is the file it stood on before."""

    context: JobContext = field(kw_only=True)
    file_id: uuid.UUID = field(kw_only=True)
    replaced: uuid.UUID | None = field(kw_only=True)
    parsed: ParsedFile = field(kw_only=True)

    async def answer(
        self, session: AsyncSession, value: Value, *, status: int | None = None, stored: object = None
    ) -> Value:
        (result,) = cast(UpsertResults, value).results
        context, tenant_id = self.context, self.context.job.tenant_id
        if result.id is None or result.version is None:
            raise RuntimeError("a document that was not stored ends no job")
        outcome = FileOutcome(result.id, result.status, result.version, result.chunks or 0, self.parsed.warnings)
        files = FileService(session, tenant_id)
        await files.describe(self.file_id, self.parsed.media_type, self.parsed.metadata)
        await stand_on(session, tenant_id, result.id, result.version, self.file_id)  # also where only the bytes differ
        await context.report(done=1, total=1, counts={"chunks": outcome.chunks}, session=session)
        await context.finish(session, msgspec.to_builtins(outcome))
        replaced = [] if self.replaced is None else [self.replaced]
        await files.release([*replaced, self.file_id], job_id=context.job.id)
        return value


@dataclass(frozen=True)
class FileHandler:
    """No connection is held while a file is read. What is wrong with a file ends its job; the document that stood
    under the key stays as it was.
    """

    parser: Parser
    embedders: EmbedderRegistry
    index_threshold: int | None = None

    async def run(self, context: JobContext) -> None:
        if not self.parser.has_room:
            raise RetryLater(random.uniform(0.3, 0.7))  # noqa: S311  # others' jobs need the worker meanwhile
        wanted = msgspec.convert(context.payload, FilePayload)
        tenant_id = context.job.tenant_id
        async with context.transaction() as session:
            handle = await CollectionService(session, tenant_id).open_by_id(wanted.collection_id)
            stored = await find_stored(session, tenant_id, handle.id, wanted.fields.key or "")
            file = await FileService(session, tenant_id).read_content(wanted.file_id)
        parsed = await self.parser.parse(tenant_id, file.name, file.content)
        replaced = None if stored is None else stored.file_id
        recorder = FileRecorder(context=context, file_id=wanted.file_id, replaced=replaced, parsed=parsed)
        ingestion = IngestionService(context.database, self.embedders, recorder, self.index_threshold, context.job.id)
        document = make_document(wanted.fields, file, parsed)
        origins = {0: Origin(wanted.file_id, parsed.page_starts, parsed.markdown)}
        try:
            await ingestion.upsert(wanted.collection_id, [document], chunking=wanted.fields.chunking, origins=origins)
        except Superseded:
            async with context.transaction() as session:
                await FileService(session, tenant_id).release([wanted.file_id], job_id=context.job.id)
                await context.call_off(session, Conflict("The document was written or deleted after this upload."))


def make_document(fields: FileFields, file: FileContent, parsed: ParsedFile) -> DocumentUpsert:
    return DocumentUpsert(
        content=parsed.content,
        key=fields.key,
        title=fields.title or parsed.title or PurePosixPath(file.name).stem or None,
        source=fields.source,
        url=fields.url,
        metadata=fields.metadata,
    )
