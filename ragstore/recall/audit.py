"""The same questions put to the plan that a search takes, and to the exact one, over the same rows."""

import time
import uuid
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.service import CollectionHandle
from ragstore.database import AsyncSession
from ragstore.document.filters import Filter
from ragstore.search.drafting import MOST_CANDIDATES
from ragstore.search.pool import Pool
from ragstore.search.recall_statistics import measure_recall
from ragstore.search.retrieval import NO_WORDS, Retrieval
from ragstore.search.samples import Samples
from ragstore.search.schemas import DensePlan
from ragstore.search.tuning import Tuning

Neighbours = list[tuple[Hashable, float]]
BY_INDEX: tuple[DensePlan, ...] = ("hnsw", "hnsw_iterative")


@dataclass(frozen=True)
class Probe:
    """A question. A stored vector finds itself, which would flatter every plan: the passage it is of, `chunk_id`, is
    left out of all answers, which are one longer for that.
    """

    vector: NDArray[np.float32]
    chunk_id: uuid.UUID | None = None


@dataclass
class Measured:
    """What one plan gave so far, a query each."""

    plan: DensePlan
    live: bool
    recalls: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    short_answers: int = 0
    fallbacks: int = 0


@dataclass(frozen=True)
class Answer:
    plan: DensePlan
    neighbours: Neighbours
    milliseconds: float
    fallback: bool


@dataclass
class Audit:
    """In one transaction that sees one state: what is written meanwhile is in no answer."""

    session: AsyncSession
    tenant_id: uuid.UUID
    handle: CollectionHandle
    tuning: Tuning
    samples: Samples
    condition: Filter | None
    top_k: int
    measured: dict[DensePlan, Measured] = field(default_factory=dict)
    exact_milliseconds: list[float] = field(default_factory=list)
    without_answer: int = 0

    async def ask(self, probe: Probe) -> None:
        """Counts when all plans have answered; a question to which nothing matches has no recall."""
        answers = [await self._find(probe)]
        if answers[0].plan in BY_INDEX:
            answers.append(await self._find(probe, plan="exact_codes"))
        exact = await self._find(probe, exact=True)
        if not exact.neighbours:
            self.without_answer += 1
            return
        self.exact_milliseconds.append(exact.milliseconds)
        for answer in answers:
            self._count(answer, exact.neighbours, live=answer is answers[0])

    def _count(self, answer: Answer, exact: Neighbours, *, live: bool) -> None:
        one = self.measured.setdefault(answer.plan, Measured(answer.plan, live))
        one.recalls.append(measure_recall(answer.neighbours, exact))
        one.milliseconds.append(answer.milliseconds)
        one.short_answers += len(answer.neighbours) < len(exact)
        one.fallbacks += answer.fallback

    async def _find(self, probe: Probe, *, exact: bool = False, plan: DensePlan | None = None) -> Answer:
        """By the plan given, else the one that a search takes."""
        began = time.perf_counter()
        retrieval = Retrieval(
            self.session,
            self.tenant_id,
            self.handle,
            self.tuning,
            probe.vector,
            NO_WORDS,
            self.condition,
            exact,
            self.samples,
        )
        await retrieval.look()
        await retrieval.prepare()
        retrieval.plan = first = plan or retrieval.plan
        needed = self.top_k + (probe.chunk_id is not None)
        pool = await self._gather(retrieval, needed, needed if exact else self.depth)
        milliseconds = 1000 * (time.perf_counter() - began)
        return Answer(first, self._rank(pool, probe), milliseconds, retrieval.report.fallback)

    @property
    def depth(self) -> int:
        """As deep as a search for so many hits looks first."""
        return max(self.tuning.candidates, 4 * self.top_k)

    async def _gather(self, retrieval: Retrieval, needed: int, depth: int) -> Pool:
        """Deeper when there are too few, as a search does."""
        while True:
            pool = await retrieval.gather(depth, needed)
            if len(pool.chunk_ids) >= needed or pool.exhausted or depth >= MOST_CANDIDATES:
                return pool
            depth = min(4 * depth, MOST_CANDIDATES)

    def _rank(self, pool: Pool, probe: Probe) -> Neighbours:
        found: Neighbours = [
            (chunk_id, -float(similarity))
            for chunk_id, similarity in zip(pool.chunk_ids, pool.similarity, strict=True)
            if chunk_id != probe.chunk_id
        ]
        return sorted(found, key=lambda one: one[1])[: self.top_k]
