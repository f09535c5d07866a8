"""A rerank endpoint for tests: answers in each style, fails as scripted, and records what it was asked.

    fake = FakeReranker("cohere")
    fake.script(Fault(status=500))    # one call each, in order; then it answers
    reranker = make_reranker(settings, transport=fake.transport())

A text's score is the number of words it shares with the query. Arguments a style does not know are answered 400.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from litestar import Litestar, Request, Response, post

Item = dict[str, Any]

URL = "http://reranker/v1/rerank"
ARGUMENTS = {
    "cohere": {"model", "query", "documents", "top_n", "return_documents"},
    "voyage": {"model", "query", "documents", "top_k", "return_documents"},
    "tei": {"query", "texts", "truncate", "return_text"},
}


@dataclass
class Fault:
    """How one call goes wrong; `change` edits the list of items of an otherwise good answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay: float = 0
    change: Callable[[list[Item]], list[Item]] | None = None


@dataclass
class Call:
    """One request as it arrived; header names in lower case."""

    body: dict[str, Any]
    headers: dict[str, str]


class FakeReranker:
    def __init__(self, style: str = "cohere") -> None:
        self.style = style
        self.calls: list[Call] = []
        self.faults: deque[Fault] = deque()
        self.app = Litestar([self.rerank_route()], logging_config=None, openapi_config=None)

    def script(self, *faults: Fault) -> None:
        self.faults.extend(faults)

    def transport(self) -> httpx.ASGITransport:
        return httpx.ASGITransport(app=self.app)  # type: ignore[arg-type]

    def rerank_route(self) -> Any:
        @post("/v1/rerank", status_code=200)
        async def rerank(request: Request[Any, Any, Any]) -> Response[bytes]:
            call = Call(json.loads(await request.body()), dict(request.headers.items()))
            self.calls.append(call)
            fault = self.faults.popleft() if self.faults else Fault()
            await asyncio.sleep(fault.delay)
            if unknown := set(call.body) - ARGUMENTS[self.style]:
                return Response(f"Argument {unknown} is not supported".encode(), status_code=400)
            body = self.answer(call.body, fault) if fault.body is None else fault.body
            return Response(body, status_code=fault.status, headers=fault.headers, media_type="application/json")

        return rerank

    def answer(self, asked: dict[str, Any], fault: Fault) -> bytes:
        name = "score" if self.style == "tei" else "relevance_score"
        texts = asked["texts" if self.style == "tei" else "documents"]
        items = [{"index": index, name: count_shared(asked["query"], text)} for index, text in enumerate(texts)]
        items.sort(key=lambda item: -item[name])
        if fault.change is not None:
            items = fault.change(items)
        wrapped = {"cohere": {"id": "1", "results": items}, "voyage": {"object": "list", "data": items}, "tei": items}
        return json.dumps(wrapped[self.style]).encode()


def count_shared(query: str, text: str) -> float:
    return float(len(set(query.split()) & set(text.split())))
