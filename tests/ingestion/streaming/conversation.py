"""A request to the application as a server hands it over: piece by piece, with an answer that comes meanwhile."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from litestar import Litestar

from tests.conftest import ADMIN_KEY

PATH = "/v1/collections/docs/documents/import"
LEFT = {"type": "http.disconnect"}


@dataclass
class Conversation:
    """`say` a piece of the body, `end` it, or `leave`; `answers` are the lines that came back."""

    app: Litestar
    query: str = ""
    heard: bytes = b""
    status: int = 0
    to_say: "asyncio.Queue[dict[str, Any]]" = field(default_factory=asyncio.Queue)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    def begin(self) -> "Conversation":
        headers = [(b"authorization", f"Bearer {ADMIN_KEY}".encode()), (b"content-type", b"application/x-ndjson")]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": PATH,
            "raw_path": PATH.encode(),
            "query_string": self.query.encode(),
            "root_path": "",
            "headers": headers,
            "server": ("ragstore", 80),
            "client": ("127.0.0.1", 0),
            "state": {},
        }
        self.task = asyncio.create_task(self.app(scope, self.to_say.get, self.hear))  # type: ignore[arg-type]  # a scope made by hand
        return self

    async def hear(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.heard += message.get("body", b"")
        self.news.set()

    def say(self, piece: bytes) -> None:
        self.to_say.put_nowait({"type": "http.request", "body": piece, "more_body": True})

    def end(self) -> None:
        self.to_say.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    def leave(self) -> None:
        self.to_say.put_nowait(LEFT)

    async def over(self) -> list[dict[str, Any]]:
        assert self.task is not None
        await asyncio.wait_for(self.task, 60)
        return self.answers

    async def wait_for(self, lines: int) -> None:
        async with asyncio.timeout(60):
            while len(self.answers) < lines:
                self.news.clear()
                await self.news.wait()

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.heard.splitlines()]


def write_lines(documents: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in documents)
