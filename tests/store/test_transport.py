"""The way of a request into this process, with applications that do one thing each."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ragstore.store.background import BackgroundLoop
from ragstore.store.transport import InProcessTransport


@pytest.fixture
def background() -> Iterator[BackgroundLoop]:
    with BackgroundLoop() as background:
        yield background


def connect(application: Any, background: BackgroundLoop, timeout: float = 5) -> httpx.Client:
    transport = InProcessTransport(application, background)
    return httpx.Client(transport=transport, base_url="http://localhost", timeout=timeout)


async def begin(send: Any, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await begin(send, 201)
    await send({"type": "http.response.body", "body": scope["raw_path"] + b" " + scope["query_string"] + b" " + body})


def test_path_query_and_body_arrive(background: BackgroundLoop) -> None:
    with connect(echo, background) as client:
        answer = client.post("/a%2Fb", params={"x": "1"}, content=b"body")
        assert (answer.status_code, answer.text) == (201, "/a%2Fb x=1 body")
        assert client.post("/", content=(part for part in (b"piece", b" by ", b"piece"))).text == "/  piece by piece"


def test_an_answer_arrives_piece_by_piece(background: BackgroundLoop) -> None:
    go_on = threading.Event()

    async def drip(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.to_thread(go_on.wait)
        await send({"type": "http.response.body", "body": b"second"})

    with connect(drip, background) as client, client.stream("GET", "/") as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"first"
        go_on.set()
        assert list(pieces) == [b"second"]


def test_a_reader_who_leaves_is_noticed_and_holds_nobody_up(background: BackgroundLoop) -> None:
    ended = threading.Event()

    async def pour(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        while (await receive())["more_body"]:
            pass
        leaving = asyncio.create_task(receive())
        while not leaving.done():
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
            await asyncio.sleep(0)
        assert leaving.result() == {"type": "http.disconnect"}
        ended.set()

    with connect(pour, background) as client, client.stream("GET", "/") as answer:
        assert next(answer.iter_raw())
    assert ended.wait(5)


def test_an_answer_that_takes_too_long_is_a_timeout(background: BackgroundLoop) -> None:
    async def sleep(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    with connect(sleep, background, timeout=0.05) as client, pytest.raises(httpx.ReadTimeout):
        client.get("/")


def test_an_application_that_fails_is_a_broken_answer(background: BackgroundLoop) -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("inside")

    with connect(fail, background) as client, pytest.raises(httpx.RemoteProtocolError, match="inside"):
        client.get("/")


def test_a_loop_that_ends_breaks_off_what_is_under_way() -> None:
    asked = threading.Event()

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    background = BackgroundLoop()

    def close() -> None:
        asked.wait(5)
        background.close()

    threading.Thread(target=close, daemon=True).start()
    with connect(wait, background) as client, pytest.raises(httpx.RemoteProtocolError, match="broke off"):
        client.get("/")
