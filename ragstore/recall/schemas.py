from typing import Literal

import msgspec

from ragstore.search.schemas import DensePlan

Source = Literal["stored", "queries"]


class PlanRecall(msgspec.Struct):
    """How much of the exact answer one plan finds. `live` is the plan that a search takes now. The true recall lies
    from `low` to `high` with a probability of at least `confidence`; all null when no query was measured. Of
    `short_answers` queries it gave fewer hits than exist; of `fallbacks` the index gave too few, and all codes were
    looked at instead. Milliseconds are those of the statements in the database, without embedding and HTTP.
    """

    plan: DensePlan
    live: bool
    recall: float | None
    low: float | None
    high: float | None
    confidence: float
    queries: int
    p50_ms: float | None
    p95_ms: float | None
    short_answers: int
    fallbacks: int


class RecallReport(msgspec.Struct):
    """`sampled` queries were chosen, and as many measured as `seconds` allowed. `candidates` is what the live plan
    ranks exactly; `plans` begins with it. `advice` is empty when nothing is wanted.
    """

    collection: str
    source: Source
    top_k: int
    chunks: int
    candidates: int
    sampled: int
    seconds: float
    exact_p50_ms: float | None
    plans: list[PlanRecall]
    advice: list[str]
