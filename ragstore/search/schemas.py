from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

Mode = Literal["vector", "text", "hybrid"]
Part = Literal["content", "metadata", "vector", "scores"]
DensePlan = Literal["exact_codes", "hnsw", "hnsw_iterative", "filtered_vectors", "exact_vectors", "phrase", "none"]
Text = Annotated[str, Meta(max_length=100_000)]


class Like(msgspec.Struct, forbid_unknown_fields=True):
    """ "More like this": one of the three. What it names is not among the hits."""

    document_id: UUID | None = None
    document_key: str | None = None
    chunk_id: UUID | None = None


class Question(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`query` is a text, in which `"a phrase"` must occur and `-word` must not when words are searched. `vector` is a
    list of numbers or little-endian float32 as base64, of the model's width or 1536.
    """

    query: Text | None = None
    vector: list[float] | str | None = None
    like: Like | None = None


class Fusion(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How `hybrid` makes one score of two. `convex` adds both, normalised; `vector_weight` is the share of the vectors,
    chosen for each query when left out. `rrf` adds reciprocal ranks. Refused in the other modes.
    """

    method: Literal["convex", "rrf"] = "convex"
    vector_weight: Annotated[float, Meta(ge=0, le=1)] | None = None


class SearchRequest(Question, forbid_unknown_fields=True, kw_only=True):
    """One question, or up to 100 `queries` that share all else. `mode` left out is `hybrid`, or `vector` when only a
    vector is given. `fusion` left out is `convex`.
    """

    queries: Annotated[list[Text | Question], Meta(min_length=1, max_length=100)] | None = None
    mode: Mode | None = None
    top_k: Annotated[int, Meta(ge=1, le=1000)] = 10
    filter: dict[str, Any] | None = None
    min_score: float | None = None
    group_by: Literal["document"] | None = None
    per_group: Annotated[int, Meta(ge=1, le=100)] = 1
    diversity: Annotated[float, Meta(ge=0, le=1)] = 0.0
    neighbors: Annotated[int, Meta(ge=0, le=20)] = 0
    highlight: bool = False
    include: tuple[Part, ...] = ("content", "metadata")
    fusion: Fusion | None = None
    rerank: bool | None = None
    exact: bool = False
    explain: bool = False
    paging: bool = False
    cursor: str | None = None


class CrossSearchRequest(SearchRequest, forbid_unknown_fields=True, kw_only=True):
    """The same over several collections, in one ranked list."""

    collections: Annotated[list[str], Meta(min_length=1, max_length=50)]


class Scores(msgspec.Struct):
    """`vector` is the similarity by the collection's metric, `text` the BM25 score, `rerank` the reranker's."""

    vector: float | None = None
    text: float | None = None
    rerank: float | None = None


class Neighbor(msgspec.Struct):
    """A passage beside the hit, of the same document."""

    chunk_id: UUID
    ordinal: int
    content: str
    start: int
    end: int


class Hit(msgspec.Struct):
    """A passage. `score`: cosine similarity in mode `vector` (the inner product, or 1 / (1 + distance) for `l2`), BM25
    in mode `text`, 0 to 1 in mode `hybrid`, or the reranker's. `start` and `end` are code points of its document;
    `highlights` are pairs of code points of `content`. `content` and `metadata` are empty when `include` leaves them
    out.
    """

    document_id: UUID
    document_key: str
    chunk_id: UUID
    score: float
    content: str
    title: str | None
    source: str | None
    url: str | None
    metadata: dict[str, Any]
    ordinal: int
    start: int
    end: int
    collection: str
    scores: Scores | UnsetType = UNSET
    highlights: list[tuple[int, int]] | UnsetType = UNSET
    neighbors: list[Neighbor] | UnsetType = UNSET
    vector: list[float] | UnsetType = UNSET


class PlanReport(msgspec.Struct):
    """How one collection was searched. `matching` documents passed the filter, `matching_at_least` when counting
    stopped early. `fallback` says that the index gave too few, and the complete scan was made. `complete` is false
    when passages that hold only the query's commonest words were not looked at.
    """

    collection: str
    chunks: int
    vector_plan: DensePlan
    vector_candidates: int = 0
    text_candidates: int = 0
    text_words: int = 0
    text_words_looked_up: int = 0
    matching: int | None = None
    matching_at_least: bool = False
    fallback: bool = False
    complete: bool = True


class Timings(msgspec.Struct):
    """Milliseconds. `connection` is the wait for one from the pool, and the beginning of the transaction."""

    embedding: float = 0.0
    connection: float = 0.0
    filter: float = 0.0
    statistics: float = 0.0
    candidates: float = 0.0
    ranking: float = 0.0
    passages: float = 0.0
    reranking: float = 0.0
    total: float = 0.0


class Explanation(msgspec.Struct):
    mode: Mode
    plans: list[PlanReport]
    timings: Timings
    vector_weight: float | None = None


class SearchResults(msgspec.Struct):
    """Best first; equal scores by chunk id. `warnings` say in words when something was not done as asked."""

    hits: list[Hit]
    next_cursor: str | UnsetType | None = UNSET
    reranked: bool | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET
    explain: Explanation | UnsetType = UNSET


class BatchResults(msgspec.Struct):
    """In the order of `queries`."""

    results: list[SearchResults]
