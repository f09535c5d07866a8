"""Composes the statement that finds and measures the candidates of one search in one collection."""

from dataclasses import dataclass
from typing import Any

from ragstore.collection.schemas import Metric
from ragstore.document.filter_sql import compile_documents, compile_test
from ragstore.document.filters import Filter
from ragstore.search.plans import Matching
from ragstore.search.schemas import DensePlan

DISTANCES: dict[Metric, str] = {
    "cosine": "e.vector <=> :vector",
    "inner_product": "e.vector <#> :vector",
    "l2": "e.vector <-> :vector",
}
# What the codes tell of the distance. The angle is the share of different bits; the lengths are stored beside them.
# `+ 0` keeps the planner from the index, which gives only some of the nearest.
ANGLE = "(pi() / 1536) * (e.code <~> :code)"
CODE_ORDERS: dict[Metric, str] = {
    "cosine": "(e.code <~> :code) + 0",
    "inner_product": f"-e.norm * cos({ANGLE})",
    "l2": f"e.norm * e.norm - 2 * e.norm * CAST(:norm AS float8) * cos({ANGLE})",
}
SCOPE = "e.tenant_id = :tenant_id AND e.collection_id = :collection_id AND e.model_id = :model_id"
# Asked of one document after the other, in the order in which the index gives its passages.
EACH_MATCHING = """
    EXISTS (
        SELECT FROM document d
        WHERE d.tenant_id = :tenant_id AND d.id = e.document_id AND {condition}
        OFFSET 0
    )
"""
POOL = """
WITH {parts}, pool AS MATERIALIZED (
    SELECT x.chunk_id, bool_or(x.near) AS near, bool_or(x.worded) AS worded FROM ({union}) x GROUP BY x.chunk_id
)
SELECT p.chunk_id, {document_id}, p.near, p.worded, {excluded}, {distance}, {terms}
FROM pool p {joins}
ORDER BY p.chunk_id
"""
MARKED = {
    "near": "SELECT chunk_id, true AS near, false AS worded FROM near",
    "worded": "SELECT chunk_id, false AS near, true AS worded FROM worded",
}
EMBEDDING_JOIN = """
JOIN embedding e ON e.tenant_id = :tenant_id AND e.chunk_id = p.chunk_id AND e.model_id = :model_id
"""
TERMS_JOIN = "JOIN passage_terms t ON t.tenant_id = :tenant_id AND t.chunk_id = p.chunk_id"
EXCLUDED = "coalesce(t.terms @@ CAST(:excluded AS tsquery), false)"


@dataclass(frozen=True)
class PoolShape:
    """What the statement consists of: `dense` is "none" without vectors; `words` says whether words are looked up."""

    metric: Metric
    dense: DensePlan
    words: bool
    excludes: bool
    condition: Filter | None
    matching: Matching | None

    @property
    def vectors(self) -> bool:
        return self.dense != "none"


def compile_pool(shape: PoolShape) -> tuple[str, dict[str, Any]]:
    """With the parameters of the filter; the others are :tenant_id :collection_id :model_id :depth, :vector :code
    :norm with vectors, :wanted :weights with words, :excluded. Columns as of `queries.find_pool`.
    """
    among, each, bound = compile_matching(shape)
    parts = {}
    if shape.vectors and shape.dense != "phrase":
        parts["near"] = compile_near(shape, among, each)
    if shape.words:
        parts["worded"] = compile_worded(among, few=shape.matching is not None and shape.matching.few)
    statement = POOL.format(
        parts=", ".join(f"{name} AS MATERIALIZED ({sql})" for name, sql in parts.items()),
        union=" UNION ALL ".join(MARKED[name] for name in parts),
        document_id="e.document_id" if shape.vectors else "t.document_id",
        distance=DISTANCES[shape.metric] if shape.vectors else "NULL::float8",
        terms="t.weights, t.saturation, t.length" if shape.words else "NULL, NULL, NULL",
        joins=compile_joins(shape),
        excluded=EXCLUDED if shape.excludes else "false",
    )
    return statement, bound


def compile_joins(shape: PoolShape) -> str:
    if not shape.vectors:
        return TERMS_JOIN
    if not shape.words and not shape.excludes:
        return EMBEDDING_JOIN
    return f"{EMBEDDING_JOIN} LEFT {TERMS_JOIN}"


def compile_matching(shape: PoolShape) -> tuple[str, str, dict[str, Any]]:
    """What a `document_id` must be, what to ask of each by itself, and their parameters."""
    if shape.condition is None or shape.matching is None:
        return "", "", {}
    if shape.matching.few and shape.matching.ids is not None:
        return "= ANY(CAST(:document_ids AS uuid[]))", "", {"document_ids": shape.matching.ids}
    documents, bound = compile_documents(shape.condition)
    if shape.matching.few:  # as an array Postgres looks them up one by one
        return f"= ANY(ARRAY({documents}))", "", bound
    test, tested = compile_test(shape.condition)
    return f"IN ({documents})", EACH_MATCHING.format(condition=test), bound | tested


def compile_near(shape: PoolShape, among: str, each: str) -> str:
    condition = f" AND e.document_id {among}" if among else ""
    if shape.dense == "hnsw_iterative":
        condition = f" AND {each}"
    if shape.dense in ("hnsw", "hnsw_iterative"):
        order = "e.code <~> :code"
    elif shape.dense == "exact_codes":
        order = f"{CODE_ORDERS[shape.metric]}, e.chunk_id"
    else:
        order = f"{DISTANCES[shape.metric]}, e.chunk_id"
    return f"SELECT e.chunk_id FROM embedding e WHERE {SCOPE}{condition} ORDER BY {order} LIMIT :depth"  # noqa: S608  # names


def compile_worded(among: str, *, few: bool) -> str:
    """Of few documents all passages are scored; otherwise the index on the terms gives those to score, and the filter
    is asked afterwards.
    """
    if few:
        return f"""
            SELECT t.chunk_id FROM chunk c JOIN passage_terms t ON t.tenant_id = :tenant_id AND t.chunk_id = c.id
            WHERE c.tenant_id = :tenant_id AND c.collection_id = :collection_id AND c.document_id {among}
              AND t.terms @@ CAST(:wanted AS tsquery)
            ORDER BY t.weights <#> :weights, t.chunk_id LIMIT :depth
        """  # noqa: S608  # as above
    function = "ragstore_find_passages(:collection_id, CAST(:wanted AS tsquery), :weights, {most})"
    if not among:
        return f"SELECT f.chunk_id FROM {function.format(most=':depth')} f"  # noqa: S608  # as above
    return f"""
        SELECT f.chunk_id FROM {function.format(most="NULL")} f WHERE f.document_id {among}
        ORDER BY f.score DESC, f.chunk_id LIMIT :depth
    """  # noqa: S608  # as above
