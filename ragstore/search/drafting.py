"""Ranks the passages for one question, within the request's transaction."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.service import CollectionHandle
from ragstore.database import AnySession
from ragstore.lexical.analysis import get_analyzer
from ragstore.lexical.indexing import TermNumbers
from ragstore.lexical.query import parse_query
from ragstore.search import queries
from ragstore.search.clock import Clock
from ragstore.search.cursors import read_cursor
from ragstore.search.examples import Example, read_example
from ragstore.search.hits import read_hits
from ragstore.search.questions import DEEPEST_PAGE, Asked, Request
from ragstore.search.ranking import (
    Ranked,
    Unwanted,
    arrange,
    choose_for_diversity,
    choose_for_reranking,
    count_documents,
    cut_page,
    leave_out,
    leave_unwanted_out,
    order_pools,
)
from ragstore.search.retrieval import NO_WORDS, Retrieval, look
from ragstore.search.samples import Samples
from ragstore.search.schemas import Fusion, Hit
from ragstore.search.scoring import score_pools
from ragstore.search.tuning import Tuning
from ragstore.search.words import share_statistics, to_words

Vectors = dict[tuple[int, str], NDArray[np.float32]]
MOST_CANDIDATES = 20_000
L2_SPREAD = 4  # of vectors of many lengths the codes tell the distance less well than the angle
MOST_DIVERSE = 1000
FEW_TO_ARRANGE = 500


@dataclass
class Draft:
    """What is known of one question's answer when the transaction ends: `ranked` and their `hits`, and for a page
    the `rest`. `weight` is the share of the vectors.
    """

    ranked: list[Ranked] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    rest: list[Ranked] = field(default_factory=list)
    retrievals: list[Retrieval] = field(default_factory=list)
    weight: float | None = None
    vectors: dict[uuid.UUID, NDArray[np.float32]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Drafting:
    """`reranked` passages, when there are any, are read in the order they have before."""

    session: AnySession
    tenant_id: uuid.UUID
    tuning: Tuning
    request: Request
    handles: Sequence[CollectionHandle]
    samples: Samples
    clock: Clock
    reranked: int

    async def draft(self, place: int, asked: Asked, vectors: Vectors) -> Draft:
        """Raises HandleStale, and NotFound for an example that is not there."""
        retrievals, unwanted = await self._prepare(place, asked, vectors)
        draft = Draft(retrievals=retrievals)
        if self.request.mode == "vector" and len({(one.model, one.metric) for one in self.handles}) > 1:
            draft.warnings.append("Models or metrics differ: scores are deviations above the mean of each collection.")
        if self.request.mode == "text" and not any(one.words.lexemes for one in retrievals):
            draft.warnings.append("No passage has a word of the query, or it only excludes words.")
        ranked = await self._rank(draft, unwanted)
        wanted = self.request.wanted
        if wanted.diversity:
            with self.clock.time("candidates"):
                draft.vectors = await self._read_vectors(choose_for_diversity(ranked, wanted)[:MOST_DIVERSE])
        if self.reranked and asked.text is not None:
            draft.ranked = choose_for_reranking(ranked, wanted, self.request.needed, self.reranked)
        else:
            draft.ranked = await self._arrange(ranked, draft.vectors)
        if wanted.paging:
            draft.ranked, draft.rest = cut_page(draft.ranked[:DEEPEST_PAGE], wanted.top_k)
        draft.hits = await self._read(draft.ranked)
        return draft

    async def _arrange(self, ranked: list[Ranked], vectors: dict[uuid.UUID, NDArray[np.float32]]) -> list[Ranked]:
        given = (ranked, self.request.wanted, self.request.needed, vectors)
        if len(ranked) <= FEW_TO_ARRANGE and not vectors:
            return arrange(*given)  # takes less than the way to a thread and back
        return await asyncio.to_thread(arrange, *given)

    async def resume(self, cursor: str) -> Draft:
        """The next page of a ranking made before; passages that are gone since are passed over.
        Raises HandleStale.
        """
        for handle in self.handles:
            await look(self.session, self.tenant_id, handle, [])
        wanted, draft = self.request.wanted, Draft()
        rest = read_cursor(cursor, wanted, self.names, DEEPEST_PAGE)
        found = 0
        while rest and found < wanted.top_k:
            page, rest = cut_page(rest, wanted.top_k - found)
            hits = await self._read(page)
            draft.hits += hits
            found += len({hit.document_id for hit in hits}) if wanted.group_by else len(hits)
        draft.rest = rest
        return draft

    @property
    def names(self) -> list[str]:
        return [handle.name for handle in self.handles]

    @property
    def first_depth(self) -> int:
        wanted = self.request.wanted
        spread = 1 if wanted.paging else 8 if wanted.group_by else 4
        chosen = self.tuning.choose_candidates(words=self.request.uses_words)
        least = chosen * (L2_SPREAD if any(one.metric == "l2" for one in self.handles) else 1)
        return max(least, min(spread * max(self.request.needed, self.reranked), MOST_CANDIDATES))

    async def _prepare(self, place: int, asked: Asked, vectors: Vectors) -> tuple[list[Retrieval], Unwanted]:
        with self.clock.time("statistics"):
            example = None
            if asked.like is not None:
                for handle in self.handles:  # a vector of another model by now would be missed, and not its example
                    await look(self.session, self.tenant_id, handle, [])
                example = await read_example(self.session, self.tenant_id, self.handles, asked)
            retrievals = [self._make_retrieval(handle, place, asked, vectors, example) for handle in self.handles]
            for one in retrievals:
                await one.look()
            if len(retrievals) > 1:
                shared = share_statistics([one.words for one in retrievals], [one.statistics for one in retrievals])
                for one, statistics in zip(retrievals, shared, strict=True):
                    one.statistics = statistics
            for one in retrievals:
                await one.prepare()
        filtering = sum(one.filter_seconds for one in retrievals)
        self.clock.add("filter", filtering)
        self.clock.add("statistics", -filtering)
        return retrievals, example.unwanted if example else Unwanted()

    def _make_retrieval(
        self, handle: CollectionHandle, place: int, asked: Asked, vectors: Vectors, example: Example | None
    ) -> Retrieval:
        vector, words, numbers = vectors.get((place, handle.model)), NO_WORDS, TermNumbers(handle.id)
        if example is not None and self.request.uses_vectors:
            vector = example.find_vector(handle)
        if self.request.uses_words and example is not None:
            words = to_words(example.count_terms(handle.language), numbers)
        elif self.request.uses_words and asked.text is not None:
            query = parse_query(asked.text, get_analyzer(handle.language))
            words = to_words(query.terms, numbers, query.phrases, query.excluded)
        return Retrieval(
            self.session,
            self.tenant_id,
            handle,
            self.tuning,
            vector,
            words,
            self.request.condition,
            self.request.wanted.exact,
            self.samples,
            self._is_tight(asked),
        )

    def _is_tight(self, asked: Asked) -> bool:
        wanted = self.request.wanted
        more = wanted.group_by or wanted.diversity or self.reranked or asked.like or self.request.uses_words
        return not more

    async def _rank(self, draft: Draft, unwanted: Unwanted) -> list[Ranked]:
        """Looks deeper until there are enough, or nothing more matches, or what comes is too far down."""
        wanted, depth = self.request.wanted, self.first_depth
        kinds = [(one.handle.model, one.handle.metric) for one in draft.retrievals]
        while True:
            with self.clock.time("candidates"):
                pools = [
                    leave_unwanted_out(await one.gather(depth, self.request.needed), unwanted)
                    for one in draft.retrievals
                ]
            with self.clock.time("ranking"):
                scores, draft.weight = score_pools(pools, kinds, self.request.mode, wanted.fusion or Fusion())
                every = order_pools(pools, scores, with_words=self.request.uses_words)
                ranked = leave_out(every, wanted.min_score)
            found = count_documents(ranked) if wanted.group_by else len(ranked)
            below = wanted.min_score is not None and bool(every) and every[-1].score < wanted.min_score
            if found >= self.request.needed or below or all(pool.exhausted for pool in pools):
                if not ranked and any(one.words.phrases for one in draft.retrievals):
                    draft.warnings.append("No passage has the phrase.")
                return ranked
            if depth >= MOST_CANDIDATES:
                draft.warnings.append(f"Looked at {depth} candidates; passages that rank below them may match too.")
                return ranked
            depth = min(4 * depth, MOST_CANDIDATES)

    async def _read_vectors(self, ranked: Sequence[Ranked]) -> dict[uuid.UUID, NDArray[np.float32]]:
        found: dict[uuid.UUID, NDArray[np.float32]] = {}
        for place, handle in enumerate(self.handles):
            ids = [one.chunk_id for one in ranked if one.place == place]
            if ids:
                rows = await queries.read_vectors(self.session, self.tenant_id, handle.model_id, ids)
                found |= {row["chunk_id"]: row["vector"] for row in rows}
        return found

    async def _read(self, ranked: Sequence[Ranked]) -> list[Hit]:
        with self.clock.time("passages"):
            return await read_hits(self.session, self.tenant_id, self.handles, ranked, self.request.wanted)
