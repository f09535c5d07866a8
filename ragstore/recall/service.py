"""Measures the recall of a collection: sampled questions, the live plan and the exact one, in one snapshot."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ragstore.collection.service import CollectionHandle, CollectionService
from ragstore.database import AsyncSession, TenantDatabase
from ragstore.document.filters import Filter
from ragstore.errors import TooManyRequests
from ragstore.recall.advice import advise
from ragstore.recall.audit import Audit, Measured, Probe
from ragstore.recall.schemas import PlanRecall, RecallReport, Source
from ragstore.search import queries
from ragstore.search.plans import index_options
from ragstore.search.recall_statistics import estimate_recall
from ragstore.search.recent import RecentQueries
from ragstore.search.samples import Samples
from ragstore.search.tuning import Tuning

CONFIDENCE = 0.95
GRACE = 5.0  # seconds the database has beyond the budget: the budget ends first, and keeps what was measured


class BudgetSpent(Exception):
    """The time is over. What was measured until then counts."""


@dataclass(frozen=True)
class Wanted:
    """`seconds` are counted from the first statement, when a connection is there."""

    samples: int
    top_k: int
    source: Source
    seconds: float
    condition: Filter | None


@dataclass
class Progress:
    """Outlives the transaction, which a spent budget rolls back."""

    audit: Audit | None = None
    chunks: int = 0
    available: int = 0
    sampled: int = 0
    cut_off: bool = False
    began: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True)
class RecallService:
    """One audit at a time in a process: it holds a connection, and keeps a processor of the database busy."""

    database: TenantDatabase
    tuning: Tuning
    samples: Samples
    recent: RecentQueries
    turn: asyncio.Lock

    async def measure(self, collection: str, wanted: Wanted) -> RecallReport:
        """Raises NotFound, and TooManyRequests while another audit runs."""
        if self.turn.locked():
            raise TooManyRequests("Recall is being measured for somebody else; try again.", retry_after=5)
        progress = Progress()
        async with self.turn:
            try:
                await self._run(collection, wanted, progress)
            except BudgetSpent:
                progress.cut_off = True
        return self._report(collection, wanted, progress)

    async def _run(self, collection: str, wanted: Wanted, progress: Progress) -> None:
        patience = int(1000 * (wanted.seconds + GRACE))
        options = index_options(self.tuning.candidates) | {
            "statement_timeout": patience,
            "idle_in_transaction_session_timeout": patience,
        }
        async with self.database.transaction(plan="custom", snapshot=True, options=options) as session:
            try:
                async with asyncio.timeout(wanted.seconds):
                    await self._ask(session, collection, wanted, progress)
            except TimeoutError as error:
                raise BudgetSpent from error

    async def _ask(self, session: AsyncSession, collection: str, wanted: Wanted, progress: Progress) -> None:
        collections = CollectionService(session, self.database.tenant_id)
        handle = await collections.open(collection)
        progress.chunks = (await collections.read(collection)).chunk_count
        progress.audit = audit = Audit(
            session, self.database.tenant_id, handle, self.tuning, self.samples, wanted.condition, wanted.top_k
        )
        stored = wanted.source == "stored"
        progress.available = progress.chunks if stored else self.recent.count(self.database.tenant_id, handle)
        probes = await self._choose(session, handle, wanted, progress.chunks)
        progress.sampled = len(probes)
        for probe in probes:
            await audit.ask(probe)

    async def _choose(
        self, session: AsyncSession, handle: CollectionHandle, wanted: Wanted, chunks: int
    ) -> Sequence[Probe]:
        """In an order by chance: whoever runs out of time has a sample all the same."""
        tenant_id = self.database.tenant_id
        if wanted.source == "queries":
            return [Probe(vector) for vector in self.recent.choose(tenant_id, handle, wanted.samples)]
        scope = {"tenant_id": tenant_id, "collection_id": handle.id, "model_id": handle.model_id}
        found = await queries.sample_passages(session, scope, chunks, wanted.samples)
        return [Probe(vector, chunk_id) for chunk_id, vector in found]

    def _report(self, collection: str, wanted: Wanted, progress: Progress) -> RecallReport:
        audit = progress.audit
        plans = [summarize(one) for one in audit.measured.values()] if audit else []
        candidates = max(self.tuning.candidates, 4 * wanted.top_k)
        exact_ms = find_percentile(audit.exact_milliseconds, 50) if audit else None
        return RecallReport(
            collection=collection,
            source=wanted.source,
            top_k=wanted.top_k,
            chunks=progress.chunks,
            candidates=candidates,
            sampled=progress.sampled,
            seconds=round(time.perf_counter() - progress.began, 3),
            exact_p50_ms=exact_ms,
            plans=plans,
            advice=advise(
                plans,
                source=wanted.source,
                available=progress.available,
                sampled=progress.sampled,
                candidates=candidates,
                exact_ms=exact_ms,
                cut_off=progress.cut_off,
            ),
        )


def summarize(one: Measured) -> PlanRecall:
    estimate = estimate_recall(one.recalls, CONFIDENCE)
    return PlanRecall(
        plan=one.plan,
        live=one.live,
        recall=estimate.mean,
        low=estimate.low,
        high=estimate.high,
        confidence=CONFIDENCE,
        queries=estimate.queries,
        p50_ms=find_percentile(one.milliseconds, 50),
        p95_ms=find_percentile(one.milliseconds, 95),
        short_answers=one.short_answers,
        fallbacks=one.fallbacks,
    )


def find_percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that `share` percent do not exceed; None of none."""
    return round(float(np.percentile(values, share, method="inverted_cdf")), 3) if values else None
