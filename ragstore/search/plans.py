"""Which way the nearest vectors are found. Pure."""

from dataclasses import dataclass
from typing import Any

from ragstore.collection.schemas import Metric
from ragstore.search.schemas import DensePlan

FEW_DOCUMENTS = 2000
FEW_CHUNKS = 4000  # so many full vectors are compared sooner than the codes of a large collection
# Visiting one more node of the index and asking whether it matches costs as much as comparing 60 codes in a row.
NODE_COST = 60
LEAST_BROAD, MOST_BROAD = 0.02, 0.5


@dataclass(frozen=True)
class Matching:
    """What is known of a filter's matches: `documents` at least when not `counted`. They are `few` when all were
    counted and reading their vectors is quick. `ids` of few, unless to find them again costs less than to send them.
    """

    documents: int
    counted: bool
    few: bool
    ids: list[object] | None = None


def find_broad_share(chunks: int, candidates: int) -> float:
    """The share of matching documents from which on an index that is asked again and again is quicker than the scan."""
    return min(MOST_BROAD, max(LEAST_BROAD, NODE_COST * candidates / max(chunks, 1)))


def is_few(documents: int, chunks_each: float) -> bool:
    return documents <= FEW_DOCUMENTS and documents * chunks_each <= FEW_CHUNKS


def choose_plan(
    *,
    metric: Metric,
    indexed: bool,
    exact: bool,
    matching: Matching | None,
    documents_at_least: float = 0.0,
    broad: float = 1.0,
) -> DensePlan:
    """`documents_at_least` is the share of the collection's documents that are known to match, `broad` the one that
    suits the index.

    The codes say how two vectors are turned to each other, and nothing of their lengths, which the index cannot be
    told: without the cosine, all codes are looked at together with the lengths.
    """
    if exact:
        return "exact_vectors"
    if matching is not None and matching.few:
        return "filtered_vectors"
    if not indexed or metric != "cosine":
        return "exact_codes"
    if matching is None:
        return "hnsw"
    return "hnsw_iterative" if documents_at_least >= broad else "exact_codes"


def index_options(depth: int) -> dict[str, Any]:
    """Twice as many are visited as are taken: of a million real-like vectors that finds .979 to .984 of the nearest ten
    where half as many again find .972 to .983, depending on the build, in a tenth less time. `relaxed_order`: what
    comes a little out of order is wanted too, since all candidates are compared exactly.

    A scan of 100,000 codes takes 20 ms, and starting a second process for half of it longer than that half.
    """
    return {
        "max_parallel_workers_per_gather": 0,
        "hnsw.ef_search": min(2 * depth, 1000),
        "hnsw.iterative_scan": "relaxed_order",
        "hnsw.max_scan_tuples": max(20_000, 100 * depth),
    }
