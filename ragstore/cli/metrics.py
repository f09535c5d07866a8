"""Retrieval quality as trec_eval reckons it: linear gain, every query that has a relevant document counts."""

import math
from collections.abc import Mapping, Sequence

Grades = Mapping[str, int]
Scores = Mapping[str, float]


def rank(scores: Scores) -> list[str]:
    """Best first; of equal scores the greater document id."""
    return [document for document, _ in sorted(scores.items(), key=lambda one: (one[1], one[0]), reverse=True)]


def ndcg(ranked: Sequence[str], grades: Grades, depth: int) -> float:
    best = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
    ideal = discount(best[:depth])
    return discount([max(grades.get(document, 0), 0) for document in ranked[:depth]]) / ideal if ideal else 0.0


def discount(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(position + 2) for position, gain in enumerate(gains))


def recall(ranked: Sequence[str], grades: Grades, depth: int) -> float:
    relevant = {document for document, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranked[:depth])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], grades: Grades, depth: int) -> float:
    hits = (1 / position for position, document in enumerate(ranked[:depth], start=1) if grades.get(document, 0) > 0)
    return next(hits, 0.0)


def measure(qrels: Mapping[str, Grades], run: Mapping[str, Scores]) -> dict[str, float]:
    """Means over the queries; one that is missing from `run` found nothing."""
    rows = []
    for query, grades in qrels.items():
        if any(grade > 0 for grade in grades.values()):
            ranked = rank(run.get(query, {}))
            rows.append(
                {
                    "ndcg@10": ndcg(ranked, grades, 10),
                    "recall@10": recall(ranked, grades, 10),
                    "recall@100": recall(ranked, grades, 100),
                    "mrr@10": reciprocal_rank(ranked, grades, 10),
                }
            )
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]} if rows else {}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
