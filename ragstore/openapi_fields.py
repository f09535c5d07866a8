"""What the OpenAPI document says of the fields of each shape, and their bounds. Pure."""

from typing import Any

from msgspec import inspect

from ragstore.chat.schemas import MessageAppend, MessageAppendByKey, MessageCreate
from ragstore.collection.schemas import ChunkingUpdate
from ragstore.index.schemas import BuildProgress, IndexRead
from ragstore.recall.schemas import PlanRecall, RecallReport
from ragstore.reembedding.schemas import Overlap, ReembedRead, ReembedStart
from ragstore.search.schemas import Fusion, Hit, Like, PlanReport, Scores, Timings
from ragstore.shapes import open_node

FIELDS: dict[type, dict[str, str]] = {
    Like: {
        "document_id": "A document by its id.",
        "document_key": "A document by its key.",
        "chunk_id": "A passage.",
    },
    Fusion: {
        "method": "`convex` adds both scores, normalised; `rrf` adds reciprocal ranks.",
        "vector_weight": "The share of the vectors in `convex`; chosen for each query when left out.",
    },
    Hit: {
        "document_id": "The document's id.",
        "document_key": "The document's key.",
        "chunk_id": "The passage's id.",
        "score": "By which hits are ranked: cosine, BM25, 0 to 1 in mode `hybrid`, or the reranker's.",
        "content": "The passage; empty when `include` leaves it out.",
        "title": "The document's title.",
        "source": "The document's source.",
        "url": "The document's address.",
        "metadata": "The document's metadata, and over it the passage's own; empty when `include` leaves it out.",
        "ordinal": "The passage's number in its document, from 0.",
        "start": "Where the passage begins in its document, in code points.",
        "end": "Where it ends there, exclusive.",
        "collection": "The name of the collection it is in.",
        "scores": "What `score` was made of. With `scores` in `include`.",
        "highlights": "Pairs of code points of the passage, in order, never overlapping. With `highlight`.",
        "neighbors": "Passages before and after it, of the same document. With `neighbors`.",
        "vector": "The passage's stored vector. With `vector` in `include`.",
    },
    Scores: {
        "vector": "The similarity by the collection's metric.",
        "text": "The BM25 score.",
        "rerank": "The reranker's score.",
    },
    PlanReport: {
        "collection": "The name of the collection.",
        "chunks": "Passages in it.",
        "vector_plan": "The way its nearest vectors were found.",
        "vector_candidates": "Passages found by their vectors.",
        "text_candidates": "Passages found by their words.",
        "text_words": "Different words of the query.",
        "text_words_looked_up": "Words whose passages were looked up; common ones may be left out.",
        "matching": "Documents that pass the filter; null without one.",
        "matching_at_least": "Counting stopped early: `matching` or more pass.",
        "fallback": "The index gave too few, and the complete scan was made.",
        "complete": "False when passages that hold only the query's commonest words were not looked at.",
    },
    Timings: {
        "embedding": "Milliseconds for the vectors of the queries.",
        "connection": "Milliseconds until there was a connection, and a transaction in it.",
        "filter": "Milliseconds for finding out how many documents pass the filter.",
        "statistics": "Milliseconds for the counts of words that BM25 needs.",
        "candidates": "Milliseconds for finding candidates, by vectors and by words.",
        "ranking": "Milliseconds for scores and their order.",
        "passages": "Milliseconds for reading the hits.",
        "reranking": "Milliseconds for the reranker.",
        "total": "Milliseconds of the whole search.",
    },
    IndexRead: {
        "mode": "`auto` builds from the threshold on, `on` whatever the size, `off` does without.",
        "state": "Searches use the index when it is `ready`; `invalid` is what a broken build left.",
        "threshold": "Passages from which on `auto` builds.",
        "chunks": "Passages in the collection.",
        "name": "The index's name in Postgres; null while there is none.",
        "bytes": "Its size on disk; null while there is none.",
        "progress": "How far a build is; null while none runs.",
        "job_id": "The job that waits or works for it.",
    },
    BuildProgress: {
        "phase": "In Postgres' words.",
        "done": "Passages in the index so far.",
        "total": "Passages it will hold.",
    },
    ReembedStart: {
        "model": "The new embedding model.",
        "switch": "`auto`: when every passage has its vector; `manual`: when told to.",
        "keep_old": "Whether the old vectors stay until `finish`; without, they go after the switch.",
        "queries": "Questions to compare both models by; without any, stored passages are.",
    },
    ReembedRead: {
        "state": "What searches use and passages have vectors of: see `docs/changing-models.md`.",
        "model_from": "The model before; null while none is changed.",
        "model_to": "The model after.",
        "switch": "Whether searches switch by themselves.",
        "keep_old": "Whether the old vectors stay after the switch.",
        "done": "Passages that have a vector of the new model.",
        "total": "Passages in all.",
        "progress": "`done` of `total`, from 0 to 1.",
        "eta": "Seconds left at the speed so far; null when nothing is under way.",
        "overlap": "How alike both models answer; null until all vectors are there.",
        "job": "The job that fills or drops vectors; null when it is over and forgotten.",
        "started_at": "When the change began.",
        "switched_at": "When searches began to use the new model.",
    },
    Overlap: {
        "queries": "Questions that both models answered.",
        "mean": "The mean share of the first ten passages that are the same.",
        "min": "The least share.",
    },
    RecallReport: {
        "collection": "The name of the collection.",
        "source": "Where the queries came from.",
        "top_k": "Hits of each query that were compared.",
        "chunks": "Passages in the collection.",
        "candidates": "Passages that the live plan ranks exactly.",
        "sampled": "Queries that were chosen; fewer may be measured when the time is over.",
        "seconds": "How long it took.",
        "exact_p50_ms": "The median of an exact search, in milliseconds; null when none was measured.",
        "plans": "What each plan found; the live one is first.",
        "advice": "What to change, in words; empty when nothing is.",
    },
    PlanRecall: {
        "plan": "The way the nearest vectors were found.",
        "live": "Whether a search takes this plan now.",
        "recall": "The mean share of the exact answer that was found; null when nothing was measured.",
        "low": "The true recall is not below this, with `confidence`.",
        "high": "The true recall is not above this, with `confidence`.",
        "confidence": "The probability that `low` to `high` holds the true recall.",
        "queries": "Queries that were measured.",
        "p50_ms": "The median of the plan's statements in the database, in milliseconds.",
        "p95_ms": "Their 95th percentile, in milliseconds.",
        "short_answers": "Queries for which it gave fewer hits than exist.",
        "fallbacks": "Queries for which the index gave too few, and all codes were looked at instead.",
    },
}


# The framework passes over a bound of 0 where a field may also be null or left out.
BOUNDED = (ChunkingUpdate, Fusion, MessageAppend, MessageAppendByKey, MessageCreate)


def describe_fields(schemas: dict[str, Any]) -> None:
    for kind, fields in FIELDS.items():
        properties = schemas[kind.__name__]["properties"]
        for name, text in fields.items():
            properties[name] = describe(properties[name], text)


def restore_minimums(schemas: dict[str, Any]) -> None:
    for kind in BOUNDED:
        properties = schemas[kind.__name__]["properties"]
        shape = inspect.type_info(kind)
        for field in shape.fields if isinstance(shape, inspect.StructType) else ():
            for one in open_node(field.type):
                if isinstance(one, inspect.IntType | inspect.FloatType) and one.ge == 0:
                    properties[field.encode_name]["minimum"] = 0


def describe(schema: dict[str, Any], text: str) -> dict[str, Any]:
    """Beside a bare reference, many readers pass over every other word."""
    return {"allOf": [schema], "description": text} if "$ref" in schema else schema | {"description": text}
