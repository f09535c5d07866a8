"""The read path: embed the question, find candidates, score them exactly, rank, and read the passages."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.handles import CollectionHandles
from ragstore.collection.service import CollectionHandle, CollectionService
from ragstore.database import TenantDatabase
from ragstore.embedding.codes import encode_one
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import Conflict, FieldError, InvalidRequest, NotFound, Unprocessable
from ragstore.lexical.analysis import get_analyzer
from ragstore.lexical.query import parse_query
from ragstore.reranking.reranker import Reranker
from ragstore.search import queries
from ragstore.search.answering import Answering
from ragstore.search.drafting import Vectors
from ragstore.search.hits import to_hit
from ragstore.search.plans import index_options
from ragstore.search.questions import Asked, Request, read_request
from ragstore.search.recent import RecentQueries
from ragstore.search.retrieval import HandleStale
from ragstore.search.samples import Samples
from ragstore.search.schemas import BatchResults, CrossSearchRequest, Hit, SearchRequest, SearchResults
from ragstore.search.tuning import Tuning
from ragstore.search.vectors import read_vector

MOST_TRIES = 3


@dataclass(frozen=True)
class SearchService:
    """Raises NotFound for an unknown collection, InvalidRequest, InvalidFilter and InvalidVector for what is wrong
    with the request, and what the model provider raises.
    """

    database: TenantDatabase
    embedders: EmbedderRegistry
    tuning: Tuning
    handles: CollectionHandles
    samples: Samples
    reranker: Reranker | None = None
    recent: RecentQueries = field(default_factory=RecentQueries)

    async def search(self, collection: str, wanted: SearchRequest) -> SearchResults | BatchResults:
        request = read_request(wanted)
        remembered = self.handles.find(self.database.tenant_id, collection)
        plain = request.plain and not self._choose_reranker(request)
        if plain and remembered is not None and remembered.metric == "cosine":
            vector = await self._embed_one(request.asked[0], remembered)
            hits = await self._find_nearest(remembered, wanted.top_k, vector)
            if len(hits) == wanted.top_k:
                return SearchResults(hits)
            return await self._search([collection], request, {(0, remembered.model): vector})
        return await self._search([collection], request)

    async def search_across(self, wanted: CrossSearchRequest) -> SearchResults | BatchResults:
        """One ranked list of several collections."""
        if len(set(wanted.collections)) != len(wanted.collections):
            raise InvalidRequest(
                "collections must differ.", errors=(FieldError("collections", "must not name one twice"),)
            )
        return await self._search(wanted.collections, read_request(wanted))

    async def _find_nearest(self, handle: CollectionHandle, top_k: int, vector: NDArray[np.float32]) -> list[Hit]:
        """In one statement, which checks by itself that the handle still holds."""
        depth = max(self.tuning.candidates, 4 * top_k)
        async with self.database.reading(options=index_options(depth)) as session:
            rows = await queries.find_nearest(
                session,
                {
                    "tenant_id": self.database.tenant_id,
                    "collection_id": handle.id,
                    "model_id": handle.model_id,
                    "name": handle.name,
                    "vector": vector,
                    "code": encode_one(vector).tobytes(),
                    "depth": depth,
                    "top_k": top_k,
                },
            )
        if len(rows) == top_k:  # else the search begins anew, with the same question
            self.recent.note(self.database.tenant_id, handle, vector)
        return [to_hit(row, handle.name) for row in rows]

    async def _search(
        self, names: Sequence[str], request: Request, embedded: Vectors | None = None
    ) -> SearchResults | BatchResults:
        """Handles that are remembered may be stale; the statements find out, and then they are read anew. What is
        `embedded` already is not paid for again.
        """
        vectors = dict(embedded or {})
        for again in range(MOST_TRIES):
            handles = await self._open(names, request, anew=again > 0)
            answering = Answering(
                self.database, self.tuning, request, handles, self.samples, self._choose_reranker(request)
            )
            with answering.clock.time("embedding"):
                vectors |= await self._embed(request, handles, vectors)
            try:
                results = await answering.answer(vectors)
            except HandleStale:
                continue
            self._note(handles, vectors)
            return BatchResults(results) if request.wanted.queries is not None else results[0]
        raise Conflict("The collection is being changed by others; try again.", retry_after=1)

    def _note(self, handles: Sequence[CollectionHandle], vectors: Vectors) -> None:
        for handle in handles:
            for (_, model), vector in vectors.items():
                if model == handle.model:
                    self.recent.note(self.database.tenant_id, handle, vector)

    def _choose_reranker(self, request: Request) -> Reranker | None:
        """The service's, if it has one, unless the request says no."""
        if request.wanted.rerank and self.reranker is None:
            raise Unprocessable(
                "There is no reranker here: set RAGSTORE_RERANK_URL.",
                errors=(FieldError("rerank", "needs a reranker in the service's settings"),),
            )
        return None if request.wanted.rerank is False or request.wanted.paging else self.reranker

    async def _open(self, names: Sequence[str], request: Request, *, anew: bool) -> list[CollectionHandle]:
        tenant_id = self.database.tenant_id
        across = isinstance(request.wanted, CrossSearchRequest)
        paths = {name: f"collections[{index}]" for index, name in enumerate(names)} if across else {}
        known = {} if anew else {name: self.handles.find(tenant_id, name) for name in names}
        missing = [name for name in names if known.get(name) is None]
        if missing:
            async with self.database.transaction() as session:
                for name in missing:
                    known[name] = await open_collection(CollectionService(session, tenant_id), name, paths.get(name))
        handles = [handle for name in names if (handle := known[name]) is not None]
        for handle in handles:
            self.handles.remember(tenant_id, handle)
        return handles

    async def _embed(self, request: Request, handles: Sequence[CollectionHandle], known: Vectors) -> Vectors:
        """What is not known yet, by the question's place and the model. No connection is held meanwhile."""
        if not request.uses_vectors or request.wanted.cursor is not None:
            return {}
        # The last one counts: a vector that is sent is scaled only where all compare angles.
        models = {handle.model: handle for handle in sorted(handles, key=lambda one: one.metric != "cosine")}
        jobs = [
            (place, asked, handle)
            for place, asked in enumerate(request.asked)
            if asked.like is None
            for handle in models.values()
            if (place, handle.model) not in known
        ]
        vectors = await asyncio.gather(
            *[self._embed_one(asked, handle, with_syntax=request.uses_words) for _, asked, handle in jobs]
        )
        return {(place, handle.model): vector for (place, _, handle), vector in zip(jobs, vectors, strict=True)}

    async def _embed_one(
        self, asked: Asked, handle: CollectionHandle, *, with_syntax: bool = False
    ) -> NDArray[np.float32]:
        """`with_syntax`: what the text excludes is no part of its meaning."""
        embedder = self.embedders.get(handle.model)
        if asked.vector is not None:
            path = f"{asked.path}.vector" if asked.path else "vector"
            return read_vector(asked.vector, embedder.dimensions, path, scale=handle.metric == "cosine")
        assert asked.text is not None  # noqa: S101  # what is no vector and no example is a text
        kept = parse_query(asked.text, get_analyzer(handle.language)).text if with_syntax else ""
        return await embedder.embed_query(kept if kept.strip() else asked.text)


async def open_collection(collections: CollectionService, name: str, path: str | None) -> CollectionHandle:
    """`path` is where the body names it, if it does."""
    try:
        return await collections.open(name)
    except NotFound as error:
        raise NotFound(error.detail, errors=(FieldError(path, "names no collection"),) if path else ()) from None
