"""A chat model for tests: speaks `/v1/chat/completions`, streamed or not, and records what it was asked.

fake = FakeChat(reply=lambda messages: "It is 42 [1].")
model = make_chat_model(settings, transport=fake.transport())
"""

import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
from litestar import Litestar, Request, Response, post
from litestar.response import Stream

from tests.fake_openai import Fault

Messages = list[dict[str, Any]]


class FakeChat:
    """`unknown` are parameters that it refuses, as servers of other ages do."""

    def __init__(
        self, reply: Callable[[Messages], str] = lambda messages: "Yes.", unknown: tuple[str, ...] = ()
    ) -> None:
        self.reply = reply
        self.unknown = unknown
        self.calls: list[dict[str, Any]] = []
        self.faults: deque[Fault] = deque()
        self.app = Litestar([self.completions_route()], logging_config=None, openapi_config=None)

    def transport(self) -> httpx2.ASGITransport:
        return httpx2.ASGITransport(app=self.app)  # type: ignore[arg-type]

    def completions_route(self) -> Any:
        @post("/v1/chat/completions", status_code=200)
        async def completions(request: Request[Any, Any, Any]) -> Response[bytes] | Stream:
            body = json.loads(await request.body())
            self.calls.append(body)
            if self.faults:
                fault = self.faults.popleft()
                content = fault.body or error("scripted", None)
                return Response(content, status_code=fault.status, headers=fault.headers, media_type=fault.media_type)
            if unknown := next((name for name in self.unknown if name in body), None):
                return Response(error(f"Unsupported parameter: '{unknown}'.", unknown), status_code=400)
            text = self.reply(body["messages"])
            if body.get("stream"):
                return Stream(stream_chunks(text, body), media_type="text/event-stream")
            return Response(to_completion(text, body), media_type="application/json")

        return completions


def error(message: str, parameter: str | None) -> bytes:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": parameter}}).encode()


def to_completion(text: str, body: dict[str, Any]) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return json.dumps(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [choice],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }
    ).encode()


async def stream_chunks(text: str, body: dict[str, Any]) -> AsyncIterator[bytes]:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    words = text.split(" ")
    for place, word in enumerate(words):
        delta = {"content": word if place == 0 else f" {word}"}
        yield to_event(base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield to_event(base | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        yield to_event(base | {"choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def to_event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()
