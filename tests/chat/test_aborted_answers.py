"""Clients that go away at any moment of an answer: nothing is stored, nothing leaks, the model is told to stop."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from litestar import Litestar
from sqlalchemy import text

from ragstore.app import create_app
from ragstore.database import Database
from ragstore.generation.model import Completion, Messages
from ragstore.generation.openai_compatible import make_chat_model
from tests.builders import make_collection
from tests.chat.kit import make_session, read
from tests.conftest import ADMIN_KEY, make_settings, running

WORDS = [f"word{number} " for number in range(20)]


class SlowModel:
    """Counts the answers it began, gave whole, and was told to stop."""

    name = "slow"

    def __init__(self) -> None:
        self.begun = self.whole = self.stopped = 0

    @asynccontextmanager
    async def stream(
        self, messages: Messages, completion: Completion, *, max_tokens: int
    ) -> AsyncIterator[AsyncIterator[str]]:
        self.begun += 1
        try:
            yield self._write(completion)
        except BaseException:
            self.stopped += 1
            raise
        else:
            self.whole += 1

    async def _write(self, completion: Completion) -> AsyncIterator[str]:
        for word in WORDS:
            await asyncio.sleep(0.001)
            completion.parts.append(word)
            yield word

    async def complete(self, messages: Messages, *, max_tokens: int) -> Completion:
        await asyncio.sleep(0.005)
        return Completion(self.name, ["A question?"])

    async def close(self) -> None:
        pass


async def go_away(app: Litestar, session_id: str, after: float, *, stream: bool) -> None:
    """A request whose client is gone after so many seconds, as a server tells the application."""
    body = json.dumps({"question": "Why?", "collections": ["docs"], "stream": stream}).encode()
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json", "host": "ragstore"}
    path = f"/v1/sessions/{session_id}/answer"
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("ragstore", 80),
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        await asyncio.sleep(after)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        await asyncio.sleep(0)

    await app(scope, receive, send)  # type: ignore[arg-type]  # a scope by hand


async def count_messages(database: Database) -> Sequence[Any]:
    """Of each session: what it counts, how many rows, and how many retrievals."""
    statement = text("""
        SELECT s.message_count, count(m.id), count(r.message_id) FROM chat_session s
        LEFT JOIN chat_message m ON m.tenant_id = s.tenant_id AND m.session_id = s.id
        LEFT JOIN chat_retrieval r ON r.tenant_id = m.tenant_id AND r.message_id = m.id
        GROUP BY s.id, s.message_count
    """)
    async with database.engine.connect() as connection:
        return (await connection.execute(statement)).all()


@pytest.mark.parametrize("stream", [True, False])
async def test_answers_that_are_broken_off_leave_nothing_behind(
    database_url: str, database: Database, stream: bool
) -> None:
    settings = make_settings(database_url, pool_size=3, max_overflow=2, run_jobs=False)
    model = SlowModel()
    app = create_app(settings, chat_model=model)
    chance = random.Random(1)
    async with running(app) as client:
        await make_collection(client)
        await client.post("/v1/collections/docs/documents", json={"documents": [{"content": "Because."}]})
        sessions = [(await make_session(client))["id"] for _ in range(4)]
        for _ in range(15):
            await asyncio.gather(
                *[go_away(app, chance.choice(sessions), chance.uniform(0, 0.12), stream=stream) for _ in range(4)],
                return_exceptions=True,
            )
        assert app.state.ragstore.database.engine.pool.checkedout() == 0
        assert model.begun == model.whole + model.stopped
        assert model.stopped > 0
        rows = await count_messages(database)
        assert all(counted == stored == 2 * retrievals for counted, stored, retrievals in rows)
        assert sum(stored for _, stored, _ in rows) <= 2 * model.whole
        answer = await client.post(
            f"/v1/sessions/{sessions[0]}/answer", json={"question": "Why?", "collections": ["docs"], "stream": False}
        )
        assert answer.json()["answer"]["content"] == "".join(WORDS)


async def test_the_provider_sees_that_nobody_waits_any_more(database_url: str) -> None:
    """Through the real client and a socket: its connection is closed when ours is."""
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
        event = f"data: {json.dumps(chunk | {'choices': [choice]})}\n\n".encode()
        try:
            while True:
                writer.write(event)
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            closed.set()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    settings = make_settings(database_url, pool_size=2, run_jobs=False, chat_model="m", chat_base_url=url)
    app = create_app(settings, chat_model=make_chat_model(settings))
    async with running(app) as client:
        await make_collection(client)
        made = await make_session(client)
        await go_away(app, made["id"], 0.3, stream=True)
        async with asyncio.timeout(5):
            await closed.wait()
        assert (await read(client, f"/v1/sessions/{made['id']}"))["message_count"] == 0
    server.close()
    await server.wait_closed()
