import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any
from uuid import UUID

import msgspec
import structlog
from litestar import Request, Response, Router, get, post
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody
from litestar.response import ServerSentEvent, ServerSentEventMessage

from ragstore.chat.answers.schemas import AnswerRead, AnswerRequest, Citation, Provenance, RetrievalRead
from ragstore.chat.answers.service import AnswerService, Draft, Event
from ragstore.database import TenantDatabase
from ragstore.errors import InternalError, RagstoreError, Unavailable
from ragstore.problems import describe_problem
from ragstore.tenant.guard import READ, WRITE

log = structlog.get_logger(__name__)
QUIET_SECONDS = 15.0  # after which a comment says that the model is still writing


@post(
    "/answer",
    opt=WRITE,
    status_code=200,
    responses={200: ResponseSpec(AnswerRead, description="With `stream: false`; else server-sent events")},
)
async def answer_question(
    request: Request[Any, Any, Any],
    session_id: FromPath[UUID],
    data: JSONBody[AnswerRequest],
    answer_service: NamedDependency[AnswerService],
) -> ServerSentEvent | Response[AnswerRead]:
    """Server-sent events: `retrieval` with the passages found, `delta` with each piece of text, `citation` when a
    passage is cited for the first time, then `done` with both messages as stored, or `error`. A client that goes away
    ends the model's work, and nothing is stored.
    """
    draft = await answer_service.prepare(session_id, data)
    if data.stream:
        events = to_events(answer_service, session_id, data, draft)
        # A client may go away while nothing is asked of the generator: it would then wait for the garbage collector.
        return ServerSentEvent(events, background=BackgroundTask(close, events))
    return Response(await finish_unless_gone(request, answer_whole(answer_service, session_id, data, draft)))


@get("/messages/{message_id:uuid}/provenance", opt=READ)
async def read_provenance(
    session_id: FromPath[UUID],
    message_id: FromPath[UUID],
    tenant_database: NamedDependency[TenantDatabase],
    answer_service: NamedDependency[AnswerService],
) -> Provenance:
    """The passages that an answer was made from, as they were then, and the search that found them."""
    async with tenant_database.transaction() as session:
        return await answer_service.read_provenance(session, session_id, message_id)


async def close(events: AsyncGenerator[ServerSentEventMessage, None]) -> None:
    await events.aclose()


async def to_events(
    service: AnswerService, session_id: UUID, wanted: AnswerRequest, draft: Draft
) -> AsyncGenerator[ServerSentEventMessage, None]:
    try:
        async with aclosing(service.answer(session_id, wanted, draft)) as events:  # type: ignore[type-var]  # a generator
            async for one in events:
                yield to_message(one)
    except RagstoreError as error:
        yield ServerSentEventMessage(event="error", data=msgspec.json.encode(describe_problem(error)))
    except Exception:  # the status is sent already: this is the only way left to say it
        log.exception("an answer failed")
        yield ServerSentEventMessage(event="error", data=msgspec.json.encode(describe_problem(InternalError())))


def to_message(one: Event) -> ServerSentEventMessage:
    match one:
        case str():
            return ServerSentEventMessage(event="delta", data=msgspec.json.encode({"text": one}))
        case RetrievalRead():
            return ServerSentEventMessage(event="retrieval", data=msgspec.json.encode(one))
        case Citation():
            return ServerSentEventMessage(event="citation", data=msgspec.json.encode(one))
    return ServerSentEventMessage(event="done", data=msgspec.json.encode(one))


async def answer_whole(service: AnswerService, session_id: UUID, wanted: AnswerRequest, draft: Draft) -> AnswerRead:
    done = None
    async with aclosing(service.answer(session_id, wanted, draft)) as events:  # type: ignore[type-var]  # as above
        async for one in events:
            done = one
    assert isinstance(done, AnswerRead)  # noqa: S101  # the last event
    return done


async def finish_unless_gone(request: Request[Any, Any, Any], work: Coroutine[Any, Any, AnswerRead]) -> AnswerRead:
    """Litestar lets a handler run on when its client is gone; this one costs money."""
    working = asyncio.create_task(work)
    watching = asyncio.create_task(wait_until_gone(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Unavailable("The client went away.")
        return working.result()
    finally:
        watching.cancel()
        working.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def wait_until_gone(request: Request[Any, Any, Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


router = Router("/sessions/{session_id:uuid}", route_handlers=[answer_question, read_provenance], tags=["answers"])
