"""A search request, checked, as the search works with it. Pure."""

from dataclasses import dataclass
from typing import Any

from ragstore.document.filters import Filter, parse_filter
from ragstore.errors import FieldError, InvalidRequest
from ragstore.fields import check_key, check_text
from ragstore.search.schemas import Fusion, Like, Mode, Question, SearchRequest

LONGEST_QUERY = 400_000  # bytes
MOST_PASSAGES, MOST_VECTORS = 25_000, 2_500  # in one answer
DEEPEST_PAGE = 1000  # ranked passages that can be paged through


@dataclass(frozen=True)
class Asked:
    """One question: a text, a vector as it was sent, both, or an example."""

    text: str | None
    vector: list[float] | str | None
    like: Like | None
    path: str


@dataclass(frozen=True)
class Request:
    """All that the questions of one request share. `needed` passages, or documents when grouped."""

    wanted: SearchRequest
    mode: Mode
    asked: list[Asked]
    condition: Filter | None

    @property
    def needed(self) -> int:
        return DEEPEST_PAGE if self.wanted.paging else self.wanted.top_k

    @property
    def uses_vectors(self) -> bool:
        return self.mode != "text"

    @property
    def uses_words(self) -> bool:
        return self.mode != "vector"

    @property
    def plain(self) -> bool:
        """Whether the shortest statement can answer it."""
        one = self.wanted
        return self.mode == "vector" and not (
            one.queries or one.like or one.filter is not None or one.group_by or one.diversity or one.neighbors
            or one.min_score is not None or one.rerank or one.exact or one.explain or one.paging or one.cursor
            or one.highlight or {"content", "metadata"} != set(one.include)
        )  # fmt: skip


def read_request(wanted: SearchRequest) -> Request:
    """Raises InvalidRequest or InvalidFilter, naming what is wrong."""
    if wanted.queries is not None:
        if wanted.query is not None or wanted.vector is not None or wanted.like is not None:
            raise wrong("queries", "cannot stand beside query, vector or like")
        if wanted.paging or wanted.cursor is not None:
            raise wrong("paging", "is for a single question")
        questions = [Question(query=one) if isinstance(one, str) else one for one in wanted.queries]
        paths = [f"queries[{index}]" for index in range(len(questions))]
    else:
        questions, paths = [wanted], [""]
    mode = wanted.mode or choose_mode(questions)
    if wanted.mode is None:
        check_mixture(questions)
    asked = [read_question(one, mode, path) for one, path in zip(questions, paths, strict=True)]
    check_options(wanted)
    check_fusion(wanted.fusion, mode)
    return Request(wanted, mode, asked, parse_filter(wanted.filter) if wanted.filter is not None else None)


def choose_mode(questions: list[Any]) -> Mode:
    only_vectors = all(one.query is None and one.vector is not None for one in questions)
    return "vector" if only_vectors else "hybrid"


def check_mixture(questions: list[Any]) -> None:
    """No mode is taken for granted where the questions are of both kinds."""
    alone = [one.query is None and one.vector is not None for one in questions]
    if any(alone) and not all(alone):
        raise wrong(
            "mode", 'must be there when some queries are vectors alone and others are not: "vector" suits all of them'
        )


def read_question(question: Question, mode: Mode, path: str) -> Asked:
    at = f"{path}." if path else ""
    check_parts(question, mode, at)
    if question.query is not None:
        faults = list(check_text(f"{at}query", question.query, longest=LONGEST_QUERY))
        if not question.query.strip():
            faults.append(FieldError(f"{at}query", "must hold some text"))
        if faults:
            raise InvalidRequest(f"{faults[0].path} {faults[0].message}.", errors=tuple(faults))
    return Asked(question.query, question.vector, question.like, path)


def check_parts(question: Question, mode: Mode, at: str) -> None:
    given = [name for name in ("query", "vector", "like") if getattr(question, name) is not None]
    if not given:
        others = "vector or like" if at else "vector, like or queries"
        raise wrong(f"{at}query", f"must be there, or {others} in its place")
    if question.like is not None:
        if len(given) > 1:
            raise wrong(f"{at}like", "cannot stand beside query or vector")
        check_like(question.like, f"{at}like")
    elif mode == "vector" and len(given) > 1:
        raise wrong(f"{at}query", "cannot stand beside vector in mode vector")
    elif mode != "vector" and question.query is None:
        raise wrong(f"{at}query", f"must be there in mode {mode}")
    elif mode == "text" and question.vector is not None:
        raise wrong(f"{at}vector", "has no use in mode text")


def check_like(like: Like, path: str) -> None:
    given = [like.document_id, like.document_key, like.chunk_id]
    if sum(one is not None for one in given) != 1:
        raise wrong(path, "must name one of document_id, document_key and chunk_id")
    faults = list(check_key(f"{path}.document_key", like.document_key))
    if faults:
        raise InvalidRequest(f"{faults[0].path} {faults[0].message}.", errors=tuple(faults))


def check_options(wanted: SearchRequest) -> None:
    check_size(wanted)
    if wanted.per_group != 1 and wanted.group_by is None:
        raise wrong("per_group", "needs group_by")
    if wanted.min_score is not None and not abs(wanted.min_score) < float("inf"):
        raise wrong("min_score", "must be a finite number")
    if wanted.paging and wanted.rerank:
        raise wrong("rerank", "cannot be asked for with paging")


def check_fusion(fusion: Fusion | None, mode: Mode) -> None:
    if fusion is None:
        return
    if mode != "hybrid":
        raise wrong("fusion", f"has no use in mode {mode}")
    if fusion.method == "rrf" and fusion.vector_weight is not None:
        raise wrong("fusion.vector_weight", "has no use with method rrf")


def check_size(wanted: SearchRequest) -> None:
    """An answer is built in memory: a legal one stays within some tens of megabytes."""
    questions = len(wanted.queries or [1])
    passages = questions * wanted.top_k * (wanted.per_group if wanted.group_by else 1)
    most = MOST_VECTORS if "vector" in wanted.include else MOST_PASSAGES
    if passages * (1 + 2 * wanted.neighbors) > most:
        asked = "queries × top_k × per_group × (1 + 2 × neighbors)"
        raise wrong("top_k", f"is too much: {asked} must not exceed {most}, with vectors {MOST_VECTORS}")


def wrong(path: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{path} {message}.", errors=(FieldError(path, message),))
