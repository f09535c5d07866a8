"""Answers the questions of one request: everything after embedding, in one transaction but for the reranking."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ragstore.collection.service import CollectionHandle
from ragstore.database import AnySession, TenantDatabase
from ragstore.reranking.reranker import Reranker
from ragstore.search.clock import Clock
from ragstore.search.cursors import write_cursor
from ragstore.search.drafting import Draft, Drafting, Vectors
from ragstore.search.hits import add_highlights, add_neighbors, leave_parts_out, set_scores, with_title
from ragstore.search.plans import index_options
from ragstore.search.questions import Asked, Request
from ragstore.search.ranking import arrange
from ragstore.search.reranked import rerank
from ragstore.search.samples import Samples
from ragstore.search.schemas import Explanation, Hit, SearchResults
from ragstore.search.tuning import Tuning


@dataclass
class Answering:
    database: TenantDatabase
    tuning: Tuning
    request: Request
    handles: Sequence[CollectionHandle]
    samples: Samples
    reranker: Reranker | None = None
    clock: Clock = field(default_factory=Clock)

    async def answer(self, vectors: Vectors) -> list[SearchResults]:
        """In the order of the questions. Raises HandleStale, and NotFound for an example that is not there."""
        began, cursor = time.perf_counter(), self.request.wanted.cursor
        # In one snapshot: a passage that was found is there to be read, though its document is replaced meanwhile.
        candidates = self.tuning.choose_candidates(words=self.request.uses_words)
        async with self.database.reading(options=index_options(candidates)) as session:
            self.clock.add("connection", time.perf_counter() - began)
            drafting = Drafting(
                session,
                self.database.tenant_id,
                self.tuning,
                self.request,
                self.handles,
                self.samples,
                self.clock,
                self.reranker.candidates if self.reranker else 0,
            )
            if cursor is not None:
                drafts = [await drafting.resume(cursor)]
            else:
                drafts = [await drafting.draft(place, one, vectors) for place, one in enumerate(self.request.asked)]
            if self.request.wanted.neighbors and self.reranker is None:
                for draft in drafts:
                    await self._add_neighbors(session, draft.hits)
        return [await self._finish(asked, draft) for asked, draft in zip(self.request.asked, drafts, strict=True)]

    async def _add_neighbors(self, session: AnySession, hits: Sequence[Hit]) -> None:
        with self.clock.time("passages"):
            await add_neighbors(session, self.database.tenant_id, hits, self.request.wanted.neighbors)

    async def _finish(self, asked: Asked, draft: Draft) -> SearchResults:
        wanted = self.request.wanted
        results = SearchResults(draft.hits)
        if self.reranker is not None and asked.text is not None:
            results.reranked = await self._rerank(self.reranker, asked.text, draft)
            results.hits = draft.hits
        elif wanted.rerank:
            draft.warnings.append("Not reranked: only a question in words can be.")
            results.reranked = False
        if wanted.neighbors and self.reranker is not None:
            async with self.database.reading() as session:
                await self._add_neighbors(session, results.hits)
        if wanted.highlight:
            languages = {handle.name: handle.language for handle in self.handles}
            await asyncio.to_thread(add_highlights, results.hits, asked.text, languages)
        leave_parts_out(results.hits, wanted)
        if wanted.paging or wanted.cursor is not None:
            results.next_cursor = (
                write_cursor(draft.rest, wanted, [handle.name for handle in self.handles]) if draft.rest else None
            )
        if draft.warnings:
            results.warnings = draft.warnings
        if wanted.explain:
            plans = [one.report for one in draft.retrievals]
            results.explain = Explanation(self.request.mode, plans, self.clock.read(), draft.weight)
        return results

    async def _rerank(self, reranker: Reranker, text: str, draft: Draft) -> bool:
        """Whether it could. Connections are free meanwhile."""
        hits = {hit.chunk_id: hit for hit in draft.hits}
        ranked = [one for one in draft.ranked if one.chunk_id in hits]
        with self.clock.time("reranking"):
            order, problem = await rerank(reranker, text, ranked, [with_title(hits[one.chunk_id]) for one in ranked])
        if problem is not None:
            draft.warnings.append(problem)
        arranged = await asyncio.to_thread(arrange, order, self.request.wanted, self.request.needed, draft.vectors)
        draft.hits = [set_scores(hits[one.chunk_id], one, self.request.wanted) for one in arranged]
        return problem is None
