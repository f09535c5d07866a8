"""Gives every passage of a collection its vector of a second model, a batch at a time."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from sqlalchemy import Row

from ragstore.collection.queries import hold_models
from ragstore.collection.schemas import Prefix
from ragstore.document.digests import digest_passage
from ragstore.document.publishing import ModelVectors, Passage
from ragstore.embedding.codes import encode
from ragstore.embedding.faults import TextsRefused
from ragstore.embedding.provider import Embedder
from ragstore.errors import Unprocessable
from ragstore.ingestion.chunking import make_prefix
from ragstore.ingestion.outline import read_place
from ragstore.job.context import JobContext
from ragstore.reembedding import queries
from ragstore.reembedding.queries import Position

BATCH = 128  # passages of one transaction
PART = 2000  # passages looked at, at once, for those without a vector


class SecondModelChanged(Exception):
    """The collection needs no vectors of this model any more."""


@dataclass
class Filling:
    """No connection is held while texts are embedded. What is stored stays: whoever comes next goes on there."""

    context: JobContext
    collection_id: uuid.UUID
    model_id: int
    embedder: Embedder
    chunks: int
    done: int = 0
    filled: int = 0
    last: Position = field(default_factory=Position)

    async def run(self) -> None:
        """Once through all passages. Raises SecondModelChanged, and what the model provider raises."""
        self.last = Position()
        async with self.context.transaction() as session:
            self.done = await queries.count_vectors(session, self._scope)
            await self.context.report(done=self.done, total=self.chunks, message="embedding", session=session)
        while True:
            async with self.context.transaction(plan="custom") as session:
                part = await queries.list_part(session, self._scope, self.last, PART)
            if not part:
                return
            lacking = [chunk_id for *_, chunk_id, lacks in part if lacks]
            for start in range(0, len(lacking), BATCH):
                await self._fill(lacking[start : start + BATCH])
            self.last = Position(*part[-1][:2])

    @property
    def _scope(self) -> dict[str, Any]:
        return {
            "tenant_id": self.context.job.tenant_id,
            "collection_id": self.collection_id,
            "model_id": self.model_id,
        }

    async def _fill(self, chunk_ids: Sequence[uuid.UUID]) -> None:
        async with self.context.transaction() as session:
            passages = await queries.read_passages(session, self.context.job.tenant_id, chunk_ids)
        if passages:
            await self._store(passages, await self._embed(passages))

    async def _embed(self, passages: Sequence[Row[Any]]) -> ModelVectors:
        try:
            vectors = await self.embedder.embed_documents([embedded_text(one) for one in passages])
        except TextsRefused as error:
            raise await self._explain(passages[error.first : error.first + error.count], error) from error
        return ModelVectors(self.model_id, vectors, await asyncio.to_thread(encode, vectors))

    async def _explain(self, refused: Sequence[Row[Any]], error: TextsRefused) -> Unprocessable:
        """Halves what was refused until one passage is left: whoever reads the error must know which."""
        while len(refused) > 1:
            half = refused[: len(refused) // 2]
            try:
                await self.embedder.embed_documents([embedded_text(one) for one in half])
            except TextsRefused as again:
                refused, error = half, again
            else:
                refused = refused[len(half) :]
        (one,) = refused
        return Unprocessable(f"Passage {one.ordinal} of document {one.key!r} cannot be embedded: {error.detail}")

    async def _store(self, passages: Sequence[Row[Any]], vectors: ModelVectors) -> None:
        tenant_id = self.context.job.tenant_id
        rows = [
            (tenant_id, self.collection_id, one.document_id, one.id, *row)
            for one, row in zip(passages, vectors.list_rows(), strict=True)
        ]
        async with self.context.transaction() as session:
            models = await hold_models(session, tenant_id, self.collection_id)
            if models is None or models.second_model_id != self.model_id:
                raise SecondModelChanged
            await queries.hold_documents(session, tenant_id, list({one.document_id for one in passages}))
            stored = await queries.store_lacking(session, tenant_id, self.model_id, rows)
            self.filled += stored
            self.done += stored
            self.chunks = max(self.chunks, self.done)
            await self.context.report(done=self.done, total=self.chunks, session=session)


def embedded_text(passage: Row[Any]) -> str:
    """What the passage's first vector was made of: its document may have come with a rule of its own, which only the
    digest of the text tells.
    """
    texts = [compose_text(passage, rule) for rule in (passage.chunk_prefix, *get_args(Prefix))]
    return next((text for text in texts if digest_passage(text) == passage.digest), texts[0])


def compose_text(passage: Row[Any], rule: Prefix) -> str:
    prefix = make_prefix(passage.title, read_place(passage.metadata), rule)
    return Passage(passage.content, 0, 0, 0, prefix=prefix).indexed
