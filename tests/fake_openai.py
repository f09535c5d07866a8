"""A model provider for tests: speaks `/v1/embeddings`, fails as scripted, and records what it was asked.

    fake = FakeOpenAI()
    fake.script(Fault(status=429, headers={"retry-after": "7"}))    # one call each, in order; then it answers
    registry = EmbedderRegistry(settings, transport=fake.transport())

The same text and width always give the same vector, of length 1; different texts give unrelated ones.
"""

import asyncio
import base64
import hashlib
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import numpy as np
from litestar import Litestar, Request, Response, post
from numpy.typing import NDArray

Item = dict[str, Any]


@dataclass
class Fault:
    """How one call goes wrong; `change` edits the list of items of an otherwise good answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    media_type: str = "application/json"
    delay: float = 0
    width: int | None = None
    change: Callable[[list[Item]], list[Item]] | None = None


@dataclass
class Call:
    """One request as it arrived; header names in lower case."""

    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def texts(self) -> list[str]:
        texts = self.body["input"]
        return [texts] if isinstance(texts, str) else texts


class FakeOpenAI:
    def __init__(self, *, width: int = 1536, floats_only: bool = False, refuses: str | None = None) -> None:
        """`width` without `dimensions` in the request; `floats_only`: a server that knows no base64; calls with
        `refuses` in one of their texts are answered 400.
        """
        self.refuses = refuses
        self.width = width
        self.floats_only = floats_only
        self.calls: list[Call] = []
        self.faults: deque[Fault] = deque()
        self.under_way = self.most_under_way = 0
        self.app = Litestar([self.embeddings_route()], logging_config=None, openapi_config=None)

    def script(self, *faults: Fault) -> None:
        self.faults.extend(faults)

    def transport(self) -> httpx2.ASGITransport:
        return httpx2.ASGITransport(app=self.app)  # type: ignore[arg-type]

    def embeddings_route(self) -> Any:
        @post("/v1/embeddings", status_code=200)
        async def embeddings(request: Request[Any, Any, Any]) -> Response[bytes]:
            call = Call(json.loads(await request.body()), dict(request.headers.items()))
            self.calls.append(call)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                return await self.answer(call, self.faults.popleft() if self.faults else self.judge(call))
            finally:
                self.under_way -= 1

        return embeddings

    def judge(self, call: Call) -> Fault:
        refused = self.refuses is not None and any(self.refuses in text for text in call.texts)
        return Fault(status=400) if refused else Fault()

    async def answer(self, call: Call, fault: Fault) -> Response[bytes]:
        await asyncio.sleep(fault.delay)
        body = fault.body
        if body is None:
            body = self.error_body(fault.status) if fault.status >= 300 else self.answer_body(call, fault)
        return Response(body, status_code=fault.status, headers=fault.headers, media_type=fault.media_type)

    def error_body(self, status: int) -> bytes:
        return json.dumps({"error": {"message": f"scripted {status}", "type": "scripted", "code": None}}).encode()

    def answer_body(self, call: Call, fault: Fault) -> bytes:
        width = fault.width or call.body.get("dimensions") or self.width
        as_base64 = call.body.get("encoding_format") == "base64" and not self.floats_only
        items = [embedding_item(n, fake_vector(text, width), as_base64) for n, text in enumerate(call.texts)]
        if fault.change is not None:
            items = fault.change(items)
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        answer = {"object": "list", "model": call.body["model"], "data": items, "usage": usage}
        return json.dumps(answer).encode()


def fake_vector(text: str, width: int = 1536) -> NDArray[np.float32]:
    """Unit length, shape (width,)."""
    drawn = np.frombuffer(hashlib.shake_256(text.encode()).digest(2 * width), dtype=">i2").astype(np.float64) + 0.5
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def embedding_item(index: int, vector: NDArray[np.float32], as_base64: bool) -> Item:
    encoded: Any = base64.b64encode(vector.astype("<f4").tobytes()).decode() if as_base64 else vector.tolist()
    return {"object": "embedding", "index": index, "embedding": encoded}
