"""The client's requests handed to the application in this process: no port, no socket, the same bytes."""

import asyncio
import queue
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import httpx

from ragstore.store.background import BackgroundLoop

Message = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]
BUFFERED = 64  # pieces of an answer made ahead of its reader


class InProcessTransport(httpx.BaseTransport):
    """Answers arrive piece by piece, as over a network; any number of threads may ask at once."""

    def __init__(self, application: Application, background: BackgroundLoop) -> None:
        self.application = application
        self.background = background

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        exchange = Exchange(request, self.background.loop)
        exchange.begin(self.application)
        head = exchange.wait()
        return httpx.Response(head["status"], headers=head["headers"], stream=AnswerStream(exchange))


class AnswerStream(httpx.SyncByteStream):
    def __init__(self, exchange: "Exchange") -> None:
        self.exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        more = True
        while more:
            message = self.exchange.wait()
            yield message.get("body", b"")
            more = message.get("more_body", False)

    def close(self) -> None:
        self.exchange.leave()


class Exchange:
    """One request: asked in the caller's thread, answered on the loop."""

    def __init__(self, request: httpx.Request, loop: asyncio.AbstractEventLoop) -> None:
        self.request = request
        self.loop = loop
        self.patience: float | None = request.extensions.get("timeout", {}).get("read")
        self.answers: queue.SimpleQueue[Message | BaseException] = queue.SimpleQueue()
        self.room = asyncio.Semaphore(BUFFERED)
        self.left = asyncio.Event()
        self.pieces: Iterator[bytes] | None = iter(request.stream)  # type: ignore[arg-type]  # a sync client's

    def begin(self, application: Application) -> None:
        asyncio.run_coroutine_threadsafe(self._answer(application), self.loop)

    async def _answer(self, application: Application) -> None:
        try:
            await application(make_scope(self.request), self._receive, self._send)
        except BaseException as error:  # the caller's thread waits: nothing may end without a word to it
            self.answers.put(error)
            if not isinstance(error, Exception):
                raise
        else:
            self.answers.put(EOFError("no answer"))

    async def _receive(self) -> Message:
        if self.pieces is None:
            await self.left.wait()
            return {"type": "http.disconnect"}
        if isinstance(self.request.stream, httpx.ByteStream):
            piece = next(self.pieces, None)
        else:
            piece = await asyncio.to_thread(next, self.pieces, None)  # a generator may take its time
        if piece is None:
            self.pieces = None
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def _send(self, message: Message) -> None:
        if self.left.is_set():
            return
        await self.room.acquire()
        self.answers.put(message)

    def wait(self) -> Message:
        """The next message of the answer."""
        try:
            message = self.answers.get(timeout=self.patience)
        except queue.Empty:
            self.leave()
            raise httpx.ReadTimeout("no answer in time", request=self.request) from None
        if isinstance(message, BaseException):
            raise httpx.RemoteProtocolError(f"the answer broke off: {message!r}", request=self.request) from message
        self._tell(self.room.release)
        return message

    def leave(self) -> None:
        """What is answered from now on has no reader."""
        self._tell(self.left.set)
        self._tell(self.room.release)

    def _tell(self, what: Callable[[], None]) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(what)


def make_scope(request: httpx.Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port or 80),
        "client": ("127.0.0.1", 0),
        "state": {},
    }
