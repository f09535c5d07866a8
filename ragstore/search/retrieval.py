"""Finds the candidates of one question in one collection, by the plan that suits the collection and the filter."""

import dataclasses
import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.indexing import name_index
from ragstore.collection.service import CollectionHandle
from ragstore.database import AnySession
from ragstore.document.filters import Filter
from ragstore.embedding.codes import encode_one
from ragstore.search import queries
from ragstore.search.plans import FEW_DOCUMENTS, Matching, choose_plan, find_broad_share, is_few
from ragstore.search.pool import Pool, make_pool
from ragstore.search.pool_sql import PoolShape
from ragstore.search.samples import Samples, measure_similarity
from ragstore.search.schemas import DensePlan, PlanReport
from ragstore.search.tuning import Tuning
from ragstore.search.words import (
    Statistics,
    Words,
    bound_missed,
    choose_rarest,
    count_statistics,
    keep_known,
    to_query_weights,
    write_excluded,
    write_tsquery,
)

MOST_WORDS = 64
NO_WORDS = Words((), np.zeros(0, np.int32), np.zeros(0))
NO_STATISTICS = Statistics(0, 0.0, np.zeros(0, np.int64), np.zeros(0))


class HandleStale(Exception):
    """The collection was changed or deleted since its handle was read."""


async def look(session: AnySession, tenant_id: uuid.UUID, handle: CollectionHandle, lexemes: Sequence[str]) -> Any:
    """A row of `queries.look`. Raises HandleStale."""
    index_name = f"public.{name_index(tenant_id, handle.id, handle.model_id)}"
    given = {"tenant_id": tenant_id, "collection_id": handle.id, "lexemes": lexemes, "index_name": index_name}
    row = await queries.look(session, given)
    if row is None or (row["name"], row["model_id"]) != (handle.name, handle.model_id):
        raise HandleStale
    return row


@dataclass
class Retrieval:
    """`look`, then `prepare`, then `gather` as deep as is needed. `vector` is None in mode text, `words` are none in
    mode vector. `tight`: the best that are needed are all that is wanted at first.
    """

    session: AnySession
    tenant_id: uuid.UUID
    handle: CollectionHandle
    tuning: Tuning
    vector: NDArray[np.float32] | None
    words: Words
    condition: Filter | None
    exact: bool
    samples: Samples
    tight: bool = False
    statistics: Statistics = NO_STATISTICS
    documents: int = 0
    indexed: bool = False
    matching: Matching | None = None
    plan: DensePlan = "none"
    every_word: bool = False
    gathered: bool = False
    filter_seconds: float = 0.0
    usual: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    report: PlanReport = field(init=False)

    async def look(self) -> None:
        """Counts the words' passages. Raises HandleStale."""
        row = await look(self.session, self.tenant_id, self.handle, self.words.lexemes)
        chunks = row["chunk_count"]
        self.documents, self.indexed = row["document_count"], row["indexed"]
        passages = np.clip(np.array(row["passages"], dtype=np.int64), 0, None)
        self.statistics = count_statistics(chunks, row["term_total"] / chunks if chunks else 0.0, passages)

    async def prepare(self) -> None:
        """Chooses the words and the plan, for which the filter's matches are counted."""
        self.words, self.statistics = keep_known(self.words, self.statistics, MOST_WORDS)
        if self.condition is not None:
            began = time.perf_counter()
            self.matching = await self._match(self.condition)
            self.filter_seconds = time.perf_counter() - began
        if self.vector is not None:
            share = self.matching.documents / self.documents if self.matching and self.documents else 0.0
            plan = choose_plan(
                metric=self.handle.metric,
                indexed=self.indexed,
                exact=self.exact,
                matching=self.matching,
                documents_at_least=share,
                broad=self._broad,
            )
            self.plan = "phrase" if self.words.phrases else plan
        if self.vector is not None and self.words.lexemes:
            sample = await self.samples.find(self.session, self.tenant_id, self.handle, self.statistics.chunks)
            self.usual = measure_similarity(sample, self.vector, self.handle.metric)
        self.report = PlanReport(self.handle.name, self.statistics.chunks, self.plan)
        self.report.text_words = len(self.words.numbers)
        if self.matching is not None:
            self.report.matching = self.matching.documents
            self.report.matching_at_least = not self.matching.counted

    async def gather(self, depth: int, needed: int) -> Pool:
        """The best `depth` by each of the two, or all there are; of exact distances only as many as are needed."""
        if self.plan in ("filtered_vectors", "exact_vectors") and self.tight and not self.gathered:
            depth = min(depth, needed)
        pool = await self._gather(depth)
        if self._fell_short(pool, depth, needed):
            self.plan, self.report.fallback = "exact_codes", True
            pool = await self._gather(depth)
        if self.words.lexemes and not self.every_word and (self.gathered or pool.found_worded < needed):
            self.every_word = True  # the second time that more is wanted, the rarest words have not been enough
            pool = await self._gather(depth)
        self.gathered = True
        self._note(pool, needed)
        return dataclasses.replace(pool, exhausted=self._is_exhausted(pool, depth), usual=self.usual)

    def _fell_short(self, pool: Pool, depth: int, needed: int) -> bool:
        """Whether the index gave too few, or gave out when more was wanted than the first time."""
        if self.plan not in ("hnsw", "hnsw_iterative") or pool.found_near >= min(depth, self.statistics.chunks):
            return False
        return self.gathered or pool.found_near < min(max(needed, depth // 2), self._expected)

    async def _gather(self, depth: int) -> Pool:
        words, looked_up = self.words, self._look_up()
        lexemes = words.lexemes
        dense = self.plan if self.vector is not None else "none"
        rows = []
        if lexemes or words.phrases or dense not in ("none", "phrase"):
            shape = PoolShape(
                self.handle.metric,
                dense,
                bool(lexemes or words.phrases),
                bool(words.excluded) and self.vector is not None,
                self.condition,
                self.matching,
            )
            # A phrase of stop words has no word that scores, and is wanted all the same.
            chosen = [] if words.phrases and self.every_word else [lexemes[place] for place in looked_up]
            parameters = self.scope | {
                "depth": depth,
                "wanted": write_tsquery(chosen, words.phrases, words.excluded),
                "weights": to_query_weights(words, self.statistics),
                "excluded": write_excluded(words.excluded) if words.excluded else "",
            }
            rows = await queries.find_pool(self.session, shape, parameters | self._vector_parameters())
        return make_pool(rows, self.handle.metric, words, self.statistics, self.tuning.k1, self.tuning.b)

    @property
    def scope(self) -> dict[str, Any]:
        return {
            "tenant_id": self.tenant_id,
            "collection_id": self.handle.id,
            "model_id": self.handle.model_id,
            "name": self.handle.name,
        }

    @property
    def _broad(self) -> float:
        return find_broad_share(self.statistics.chunks, self.tuning.candidates)

    @property
    def _expected(self) -> int:
        """Passages that must be there to be found, at least."""
        return self.statistics.chunks if self.matching is None else self.matching.documents

    def _vector_parameters(self) -> dict[str, Any]:
        if self.vector is None:
            return {}
        norm = float(np.linalg.norm(self.vector))
        return {"vector": self.vector, "code": encode_one(self.vector).tobytes(), "norm": norm}

    def _look_up(self) -> NDArray[np.intp]:
        few = self.matching is not None and self.matching.few
        if self.exact or self.every_word or few or not len(self.words.numbers):
            self.every_word = True
            return np.arange(len(self.words.numbers))
        rarest = choose_rarest(self.statistics.passages, self.tuning.text_candidates)
        self.every_word = len(rarest) == len(self.words.numbers)
        return rarest

    async def _match(self, condition: Filter) -> Matching:
        enough = math.ceil(self._broad * self.documents) if self.indexed else 0
        most = max(FEW_DOCUMENTS + 1, enough)
        found, ids = await queries.match_documents(self.session, self.scope, condition, few=FEW_DOCUMENTS, most=most)
        few = is_few(found, self.statistics.chunks / max(self.documents, 1))
        return Matching(found, found < most, few, ids)

    def _is_exhausted(self, pool: Pool, depth: int) -> bool:
        if self.words.lexemes and not self.every_word:
            return False
        if self.plan in ("hnsw", "hnsw_iterative"):  # it stops where it likes: only all there are is all
            return pool.found_near >= self.statistics.chunks
        if depth >= self.statistics.chunks:
            return True
        near = self.vector is None or self.plan == "phrase" or pool.found_near < depth
        with_words = self.words.lexemes or self.words.phrases
        return near and (not with_words or pool.found_worded < depth)

    def _note(self, pool: Pool, needed: int) -> None:
        self.report.vector_plan = self.plan
        self.report.vector_candidates = len(pool.chunk_ids) if self.plan == "phrase" else int(pool.near.sum())
        self.report.text_candidates = int(pool.worded.sum())
        looked_up = self._look_up()
        self.report.text_words_looked_up = len(looked_up)
        if len(looked_up) < len(self.words.numbers):
            best = np.sort(pool.text_scores)[::-1][:needed]
            least = float(best[-1]) if len(best) == needed else 0.0
            self.report.complete = bound_missed(self.words, self.statistics, looked_up, self.tuning.k1) <= least
