"""The write path: check, compare with what is stored, cut, embed, publish."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ragstore.collection.schemas import ChunkingUpdate
from ragstore.collection.service import CollectionHandle, CollectionService
from ragstore.columns import new_id
from ragstore.database import TenantDatabase
from ragstore.document.digests import digest_content, digest_record
from ragstore.document.publishing import DocumentVersion, Passage, Published, Publisher, StoredVersion
from ragstore.document.tidying import request_tidying
from ragstore.embedding.codes import encode
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import Conflict, InvalidDocument, Unavailable
from ragstore.failpoints import Failpoint, failpoint
from ragstore.idempotency.service import Recorder
from ragstore.ingestion.chunking import split_texts
from ragstore.ingestion.origins import Origin
from ragstore.ingestion.schemas import DocumentFault, DocumentResult, DocumentUpsert, FieldFault, Status, UpsertResults
from ragstore.ingestion.validation import Checked, check_documents
from ragstore.lexical.analysis import get_analyzer
from ragstore.lexical.indexing import PassageTerms, TermNumbers, to_passage_terms
from ragstore.lexical.weighting import saturate
from ragstore.sqlstate import is_deadlock

MOST_TRIES = 3


@dataclass
class Candidate:
    """A good document on its way, and what is stored under its key."""

    index: int
    id: uuid.UUID
    document: DocumentUpsert
    content_digest: bytes
    record_digest: bytes
    stored: StoredVersion | None = None
    passages: Sequence[Passage] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The caller's, or else the id that a new document will have."""
        return self.document.key if self.document.key is not None else str(self.id)

    @property
    def status(self) -> Status:
        if self.stored is None:
            return "created"
        unchanged = self.same_content and self.stored.record_digest == self.record_digest
        return "unchanged" if unchanged else "updated"

    @property
    def same_content(self) -> bool:
        return self.stored is not None and self.stored.content_digest == self.content_digest

    @property
    def fields(self) -> dict[str, Any]:
        one = self.document
        return {"title": one.title, "source": one.source, "url": one.url, "meta": one.metadata}


class ContentMoved(Exception):
    """A document that was to be changed beside its content has other content by now."""


@dataclass(frozen=True)
class IngestionService:
    """Raises NotFound for an unknown collection, InvalidDocument when no document is good, and what the model
    provider raises; in each case nothing is stored.
    """

    database: TenantDatabase
    embedders: EmbedderRegistry
    recorder: Recorder = field(default_factory=Recorder)
    index_threshold: int | None = None

    async def upsert(
        self,
        collection: str,
        documents: Sequence[object],
        *,
        chunking: ChunkingUpdate | None = None,
        origins: Mapping[int, Origin] | None = None,
    ) -> UpsertResults:
        """Each document a DocumentUpsert or its JSON. Searchable, all of them together, when this returns; a bad
        document among good ones is `failed`.
        """
        checked = await asyncio.to_thread(check_documents, documents)
        good = {index: one.document for index, one in enumerate(checked) if one.document is not None}
        if not good:
            faults = tuple(fault for one in checked for fault in one.faults)
            raise InvalidDocument(f"{faults[0].path} {faults[0].message}.", errors=faults)
        failpoint(Failpoint.VALIDATED)
        for _ in range(MOST_TRIES):
            try:
                return await self._upsert_good(collection, checked, good)
            except ContentMoved:
                continue
        raise Conflict("The document is being changed by others; try again.", retry_after=1)

    async def _upsert_good(
        self, collection: str, checked: Sequence[Checked], good: Mapping[int, DocumentUpsert]
    ) -> UpsertResults:
        handle, candidates = await self._plan(collection, good)
        versions = await self._embed(handle, [one for one in candidates if not one.same_content])
        failpoint(Failpoint.EMBEDDED)
        for again in range(MOST_TRIES):
            try:
                return await self._publish(handle, checked, candidates, versions)
            except Unavailable as error:
                if again == MOST_TRIES - 1 or not is_deadlock(error):
                    raise
        raise AssertionError("unreachable")

    async def _publish(
        self,
        handle: CollectionHandle,
        checked: Sequence[Checked],
        candidates: Sequence[Candidate],
        versions: Sequence[DocumentVersion],
    ) -> UpsertResults:
        """Two writers of the same new documents, who change records of old ones too, may each hold what the other
        waits for: Postgres ends one of them, and it comes again with what it has embedded.
        """
        async with self.database.transaction() as session:
            publisher = Publisher(session, self.database.tenant_id, handle, self.index_threshold)
            published = await publish(publisher, candidates, versions)
            results = {one.index: to_result(one, published.get(one.key)) for one in candidates}
            answer = UpsertResults([results.get(index) or refusal(one) for index, one in enumerate(checked)])
            await self.recorder.answer(session, answer)
            if versions:
                await request_tidying(session, self.database.tenant_id, handle.id)
        return answer

    async def _plan(
        self, collection: str, good: Mapping[int, DocumentUpsert]
    ) -> tuple[CollectionHandle, list[Candidate]]:
        async with self.database.transaction() as session:
            handle = await CollectionService(session, self.database.tenant_id).open(collection)
            keys = [one.key for one in good.values() if one.key is not None]
            publisher = Publisher(session, self.database.tenant_id, handle)
            stored = await publisher.find_stored(keys) if keys else {}
        candidates = [to_candidate(index, one, handle) for index, one in good.items()]
        for one in candidates:
            one.stored = stored.get(one.key)
        return handle, candidates

    async def _embed(self, handle: CollectionHandle, fresh: Sequence[Candidate]) -> list[DocumentVersion]:
        """No connection is held here: cutting and embedding may take long."""
        if not fresh:
            return []
        texts = [one.document.content for one in fresh]
        for one, passages in zip(fresh, await asyncio.to_thread(split_texts, texts, handle.chunking), strict=True):
            one.passages = passages
        inputs = [with_title(one.document.title, passage.content) for one in fresh for passage in one.passages]
        vectors = await self.embedders.get(handle.model).embed_documents(inputs)
        codes = await asyncio.to_thread(encode, vectors)
        terms = await asyncio.to_thread(index_texts, inputs, handle)
        ends = np.cumsum([len(one.passages) for one in fresh])
        parts = zip(ends, fresh, np.split(vectors, ends[:-1]), np.split(codes, ends[:-1]), strict=True)
        return [
            DocumentVersion(
                one.id,
                one.key,
                one.document.content,
                one.fields,
                one.content_digest,
                one.record_digest,
                one.passages,
                vectors_of_one,
                codes_of_one,
                terms[end - len(one.passages) : end],
            )
            for end, one, vectors_of_one, codes_of_one in parts
        ]


async def publish(
    publisher: Publisher, candidates: Sequence[Candidate], versions: Sequence[DocumentVersion]
) -> dict[str, Published]:
    """By key. Raises ContentMoved when a document of which only the record changes has other content by now."""
    changed = [one for one in candidates if one.status != "unchanged"]
    if not changed:
        return {}
    # Storing documents locks them in the order of their keys by itself. First those that exist, then the others, is a
    # second order, in which writers that insert and replace can wait for each other.
    if any(one.same_content for one in changed):
        await publisher.lock([one.key for one in changed])
    published: dict[str, Published] = {}
    for one in changed:
        if one.stored is None or not one.same_content:
            continue
        replaced = await publisher.replace_record(one.stored, one.fields, one.record_digest)
        if replaced is None:
            raise ContentMoved
        published[one.key] = replaced
    return published | await publisher.replace(versions)


def index_texts(texts: Sequence[str], handle: CollectionHandle) -> list[PassageTerms]:
    """The mean length that the weights are made with is the collection's by now, or else that of the texts."""
    analyzer, numbers = get_analyzer(handle.language), TermNumbers(handle.id)
    found = [analyzer.terms(text) for text in texts]
    lengths = [analyzer.count_scored(terms) for terms in found]
    mean = handle.mean_length or max(1.0, sum(lengths) / len(lengths))
    return [
        to_passage_terms(terms, numbers, length, saturate(length, mean))
        for terms, length in zip(found, lengths, strict=True)
    ]


def with_title(title: str | None, passage: str) -> str:
    """The text that is embedded and searched by words: the middle of a document too says what it is about."""
    return f"{title}\n\n{passage}" if title else passage


def to_candidate(index: int, document: DocumentUpsert, handle: CollectionHandle) -> Candidate:
    return Candidate(
        index,
        new_id(),
        document,
        digest_content(document.content, document.title, handle.chunking),
        digest_record(document.source, document.url, document.metadata),
    )


def to_result(one: Candidate, published: Published | None) -> DocumentResult:
    if published is not None:
        chunks = one.stored.chunk_count if one.same_content and one.stored else len(one.passages)
        status: Status = "created" if published.version == 1 else "updated"
        return DocumentResult(one.key, published.id, status, published.version, chunks)
    if one.stored is None:
        raise RuntimeError("a document without a stored version was not published")
    return DocumentResult(one.key, one.stored.id, "unchanged", one.stored.version, one.stored.chunk_count)


def refusal(one: Checked) -> DocumentResult:
    faults = [FieldFault(fault.path, fault.message) for fault in one.faults]
    error = DocumentFault(InvalidDocument.type(), f"{faults[0].path} {faults[0].message}.", faults)
    return DocumentResult(one.key, None, "failed", error=error)
