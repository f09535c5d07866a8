"""Answers: the question is rewritten, passages are found, a model writes, and all of it is stored in one commit."""

import secrets
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ragstore.chat.answers import queries
from ragstore.chat.answers.citing import CitationReader
from ragstore.chat.answers.prompting import (
    LEAST_SHARE,
    REWRITE_TOKENS,
    choose_passages,
    make_question,
    make_rewriting,
    make_rules,
    read_rewritten,
)
from ragstore.chat.answers.schemas import AnswerRead, AnswerRequest, Citation, Provenance, RetrievalRead
from ragstore.chat.context.service import ContextService, count_text
from ragstore.chat.context.shapes import to_prompt
from ragstore.chat.messages.service import MessageService
from ragstore.chat.schemas import MessageAppend, MessageCreate
from ragstore.chat.sessions.service import SessionService
from ragstore.database import AsyncSession, TenantDatabase
from ragstore.errors import ChatModelMissing, FieldError, NotFound
from ragstore.fields import check_metadata, check_text, refuse
from ragstore.generation.model import ChatModel, Completion
from ragstore.idempotency.service import Recorder
from ragstore.search.schemas import BatchResults, CrossSearchRequest, Hit
from ragstore.search.service import SearchService

LONGEST_TEXT = 100_000
Event = RetrievalRead | str | Citation | AnswerRead


@dataclass(frozen=True)
class Limits:
    """Tokens of a prompt, and of an answer."""

    context: int
    answer: int


@dataclass
class Draft:
    """What is known before the model begins."""

    retrieval: RetrievalRead
    messages: list[dict[str, Any]]
    completion: Completion
    reader: CitationReader
    began: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True)
class AnswerService:
    """Raises NotFound for an unknown session or collection, ChatModelMissing without a model, and what the providers
    raise. Whatever is raised, and however an answer is broken off, nothing of it is stored: neither the question.

    No connection is held while the model writes.
    """

    database: TenantDatabase
    search: SearchService
    model: ChatModel | None
    limits: Limits
    recorder: Recorder = field(default_factory=Recorder)
    summarising: bool = False

    async def prepare(self, session_id: uuid.UUID, wanted: AnswerRequest) -> Draft:
        """All that can be refused is refused here, before anything is streamed."""
        refuse([*check_text("question", wanted.question, longest=LONGEST_TEXT * 4), *check_request(wanted)])
        if self.model is None:
            raise ChatModelMissing("There is no chat model here: set RAGSTORE_CHAT_MODEL (docs/answers.md).")
        fence = secrets.token_hex(4)
        rules = make_rules(fence, wanted.instructions)
        room = self.limits.context - (wanted.max_tokens or self.limits.answer)
        room -= count_text(rules) + count_text(wanted.question)
        if room < 0:
            refuse([FieldError("question", "leaves no room: RAGSTORE_CHAT_CONTEXT_TOKENS is too small for it")])
        history = await self._read_history(session_id, int(room * (1 - LEAST_SHARE)))
        query = await self._rewrite(history, wanted)
        passages = choose_passages(await self._find(query, wanted), room - count_history(history))
        messages = [
            {"role": "system", "content": rules},
            *history,
            {"role": "user", "content": make_question(wanted.question, passages, fence)},
        ]
        completion = Completion(self.model.name)
        return Draft(RetrievalRead(query, passages), messages, completion, CitationReader(passages))

    async def answer(self, session_id: uuid.UUID, wanted: AnswerRequest, draft: Draft) -> AsyncIterator[Event]:
        """What was found, the pieces of the answer, each citation when it first comes, and at last what was stored."""
        assert self.model is not None  # noqa: S101  # prepare has looked
        yield draft.retrieval
        most = wanted.max_tokens or self.limits.answer
        async with self.model.stream(draft.messages, draft.completion, max_tokens=most) as pieces:
            async for piece in pieces:
                yield piece
                for citation in draft.reader.read(piece):
                    yield citation
        yield await self._store(session_id, wanted, draft)

    async def read_provenance(self, session: AsyncSession, session_id: uuid.UUID, message_id: uuid.UUID) -> Provenance:
        """Raises NotFound for a message that no search led to."""
        await MessageService(session, self.database.tenant_id).read(session_id, message_id)
        row = await queries.find_retrieval(session, self.database.tenant_id, message_id)
        if row is None:
            raise NotFound(f"No search led to the message {message_id}.")
        return msgspec.convert(
            {
                "message_id": row.message_id,
                "question": row.question,
                "query": row.query,
                "collections": row.collections,
                "search": row.search,
                "passages": row.passages,
                "model": row.model,
                "created_at": row.created_at,
            },
            Provenance,
        )

    async def _read_history(self, session_id: uuid.UUID, budget: int) -> list[dict[str, Any]]:
        async with self.database.transaction() as session:
            await SessionService(session, self.database.tenant_id).find(session_id)
            found = await ContextService(session, self.database.tenant_id, self.summarising).read(session_id, budget)
        history: list[dict[str, Any]] = msgspec.to_builtins(to_prompt(found))
        return history

    async def _rewrite(self, history: Sequence[dict[str, Any]], wanted: AnswerRequest) -> str:
        if not wanted.rewrite or self.model is None or not any(one["role"] == "user" for one in history):
            return wanted.question
        prompt = make_rewriting(history, wanted.question)
        completion = await self.model.complete(prompt, max_tokens=REWRITE_TOKENS)
        return read_rewritten(completion.text, wanted.question)

    async def _find(self, query: str, wanted: AnswerRequest) -> list[Hit]:
        found = await self.search.search_across(
            CrossSearchRequest(
                query=query,
                collections=wanted.collections,
                mode=wanted.mode,
                filter=wanted.filter,
                top_k=wanted.top_k,
                min_score=wanted.min_score,
                fusion=wanted.fusion,
                rerank=wanted.rerank,
            )
        )
        assert not isinstance(found, BatchResults)  # noqa: S101  # one query was asked
        return found.hits

    async def _store(self, session_id: uuid.UUID, wanted: AnswerRequest, draft: Draft) -> AnswerRead:
        """Question, answer, what led to it and the request's own answer: one commit."""
        completion = draft.completion
        question = MessageCreate("user", wanted.question, completion.prompt_tokens, metadata=wanted.metadata)
        answer = MessageCreate(
            "assistant",
            completion.text,
            completion.completion_tokens,
            completion.model,
            citations=msgspec.to_builtins(draft.reader.list()) or None,
            latency_ms=round((time.perf_counter() - draft.began) * 1000),
        )
        async with self.database.transaction() as session:
            messages = MessageService(session, self.database.tenant_id)
            asked, answered = await messages.append(session_id, MessageAppend(messages=[question, answer]))
            await queries.insert_retrieval(
                session,
                tenant_id=self.database.tenant_id,
                message_id=answered.id,
                question=wanted.question,
                query=draft.retrieval.query,
                collections=wanted.collections,
                search=describe_search(wanted),
                passages=msgspec.to_builtins(draft.retrieval.passages),
                model=completion.model,
            )
            done = AnswerRead(asked, answered, draft.retrieval, draft.reader.unknown, completion.finish)
            return await self.recorder.answer(session, done)


def check_request(wanted: AnswerRequest) -> list[FieldError]:
    faults = [
        *check_text("instructions", wanted.instructions, longest=LONGEST_TEXT),
        *check_metadata("metadata", wanted.metadata),
    ]
    if not wanted.question.strip():
        faults.append(FieldError("question", "must hold some text"))
    return faults


def count_history(history: Sequence[dict[str, Any]]) -> int:
    return sum(count_text(msgspec.json.encode(one).decode()) for one in history)


def describe_search(wanted: AnswerRequest) -> dict[str, Any]:
    given = {name: getattr(wanted, name) for name in ("mode", "filter", "top_k", "min_score", "fusion", "rerank")}
    described: dict[str, Any] = msgspec.to_builtins({name: one for name, one in given.items() if one is not None})
    return described
