from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from ragstore.chat.schemas import MessageRead
from ragstore.search.schemas import Fusion, Mode

MOST_PASSAGES = 100


class AnswerRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`question` is answered from the passages that a search of `collections` finds, and stored with the answer.
    `instructions` tell the model how to answer. `rewrite`: the search asks for the question as it reads without the
    history. `stream`: as server-sent events.
    """

    question: Annotated[str, Meta(min_length=1, max_length=100_000)]
    collections: Annotated[list[str], Meta(min_length=1, max_length=50)]
    mode: Mode | None = None
    filter: dict[str, Any] | None = None
    top_k: Annotated[int, Meta(ge=1, le=MOST_PASSAGES)] = 8
    min_score: float | None = None
    fusion: Fusion | None = None
    rerank: bool | None = None
    instructions: Annotated[str, Meta(max_length=20_000)] | None = None
    rewrite: bool = True
    max_tokens: Annotated[int, Meta(ge=1, le=200_000)] | None = None
    metadata: dict[str, Any] = {}
    stream: bool = True


class Passage(msgspec.Struct):
    """A passage as the model was shown it, under its `number`. `cut`: only its beginning, for want of room."""

    number: int
    collection: str
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
    cut: bool = False


class RetrievalRead(msgspec.Struct):
    """What was searched for, and what the model is shown of it."""

    query: str
    passages: list[Passage]


class Citation(msgspec.Struct):
    """A number that the answer cites, and the passage behind it."""

    number: int
    collection: str
    document_id: UUID
    document_key: str
    chunk_id: UUID
    title: str | None
    source: str | None
    url: str | None
    start: int
    end: int


class AnswerRead(msgspec.Struct):
    """Both messages as they are stored. `unknown_citations` are numbers that the answer cites and nothing stands
    behind. `finish` is `length` when the answer was cut off at its most tokens.
    """

    question: MessageRead
    answer: MessageRead
    retrieval: RetrievalRead
    unknown_citations: list[int] = []
    finish: str | None = None


class Provenance(msgspec.Struct):
    """What an answer was made from, as it was then."""

    message_id: UUID
    question: str
    query: str
    collections: list[str]
    search: dict[str, Any]
    passages: list[Passage]
    model: str
    created_at: datetime
