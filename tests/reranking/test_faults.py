"""Every way a rerank endpoint fails, and the reason that is given for it."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ragstore.errors import RerankerUnavailable
from ragstore.reranking import endpoint as endpoint_module
from ragstore.reranking.endpoint import make_reranker
from ragstore.reranking.reranker import Reranking
from ragstore.settings import Settings
from tests.fake_reranker import URL, FakeReranker, Fault, Item

KEY = "sk-secret-1234567890"
TEXTS = ["alpha one", "beta two", "gamma"]
GOOD = b'[{"index": 1, "score": 0.5}, {"index": 0, "score": 0.25}, {"index": 2, "score": 0}]'

Change = Callable[[list[Item]], list[Item]]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]


async def rerank(fake: FakeReranker | None, url: str = URL, seconds: float = 5) -> Reranking:
    values = {"rerank_url": url, "rerank_model": "m", "rerank_api_key": KEY, "rerank_timeout": seconds}
    reranker = make_reranker(Settings.model_validate(values), transport=fake.transport() if fake else None)
    assert reranker is not None
    try:
        return await reranker.rerank("beta two", TEXTS)
    finally:
        await reranker.close()


def last_with(**values: object) -> Change:
    return lambda items: [*items[:-1], items[-1] | values]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (last_with(index=3), "ranked a text that it was not given"),
        (last_with(index=-1), "ranked a text that it was not given"),
        (last_with(index=10**30), "not given"),
        (last_with(index=1), "ranked a text twice"),
        (lambda items: [*items, items[0]], "ranked a text twice"),
        (lambda items: [], "ranked none of the texts"),
        (last_with(relevance_score=None), "a score that is no number"),
        (last_with(relevance_score=float("nan")), "no list of scores"),
        (last_with(relevance_score=float("inf")), "no list of scores"),
        (last_with(relevance_score="0.5"), "no list of scores"),
        (last_with(relevance_score=True), "no list of scores"),
        (last_with(index=1.5), "no list of scores"),
        (lambda items: [{"index": item["index"]} for item in items], "a score that is no number"),
        (lambda items: [{"relevance_score": 1.0} for _ in items], "no list of scores"),
    ],
)
async def test_answers_that_lie_are_refused(change: Change, reason: str) -> None:
    fake = FakeReranker()
    fake.script(Fault(change=change))
    with pytest.raises(RerankerUnavailable, match=reason):
        await rerank(fake)
    assert len(fake.calls) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>Bad gateway</html>", "no list of scores"),
        (b"", "no list of scores"),
        (b"null", "no list of scores"),
        (b"{}", "no list of scores"),
        (b'{"results": null}', "no list of scores"),
        (b'{"results": 1}', "no list of scores"),
        (b'{"error": {"message": "no"}}', "no list of scores"),
        (b"[1, 2, 3]", "no list of scores"),
        (b'{"results": [{"in', "no list of scores"),
        (b"\xff\xfe", "no list of scores"),
        (b"[" * 9000, "no list of scores"),
        (b'[{"index": 0, "score": 1e999}]', "(no list of scores|no number)"),
        (b"[]", "ranked none of the texts"),
    ],
)
async def test_other_bodies_are_refused(body: bytes, reason: str) -> None:
    fake = FakeReranker()
    fake.script(Fault(body=body))
    with pytest.raises(RerankerUnavailable, match=reason):
        await rerank(fake)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, r"refused the request \(400\)"),
        (401, r"refused the API key \(401\)"),
        (403, r"refused the API key \(403\)"),
        (404, r"refused the request \(404\)"),
        (422, r"refused the request \(422\)"),
        (429, r"limiting requests \(429\)"),
        (500, r"not available \(500\)"),
        (503, r"not available \(503\)"),
        (529, r"not available \(529\)"),
        (302, r"redirects elsewhere \(302\)"),
        (307, r"redirects elsewhere \(307\)"),
    ],
)
async def test_the_reason_names_the_status_and_nothing_else(
    status: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = FakeReranker()
    body = f"cannot rank 'alpha one' for {KEY} at {URL}".encode()
    fake.script(Fault(status=status, body=body, headers={"location": URL, "retry-after": "60"}))
    with pytest.raises(RerankerUnavailable, match=reason) as caught:
        await rerank(fake)
    assert len(fake.calls) == 1
    logged = capsys.readouterr().err
    assert "reranker_unavailable" in logged
    for secret in (KEY, "alpha one"):
        assert secret not in repr(caught.value) + str(caught.value.__cause__) + logged
    assert "http" not in caught.value.detail


async def test_bodies_too_large_or_compressed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeReranker()
    fake.script(Fault(body=gzip.compress(b" " * 10_000_000), headers={"content-encoding": "gzip"}))
    with pytest.raises(RerankerUnavailable, match="compressed"):
        await rerank(fake)
    monkeypatch.setattr(endpoint_module, "MAX_ANSWER_BYTES", 1000)
    assert (await rerank(fake)).order == [1, 0, 2]
    fake.script(Fault(change=last_with(document="x" * 1000)))
    with pytest.raises(RerankerUnavailable, match="larger than 1000 bytes"):
        await rerank(fake)


async def test_a_slow_answer_ends_at_the_deadline() -> None:
    fake = FakeReranker()
    fake.script(Fault(delay=20))
    with pytest.raises(RerankerUnavailable, match=r"no answer in 0\.2 s"):
        await rerank(fake, seconds=0.2)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/rerank"


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(int(length.split(b":")[1]))


def write_answer(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
    writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)


async def test_a_dripping_body_ends_at_the_deadline_and_the_connection_with_it() -> None:
    hung_up = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        try:
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        hung_up.set()
        writer.close()

    async with serving(drip) as url:
        with pytest.raises(RerankerUnavailable, match=r"no answer in 0\.4 s"):
            await rerank(None, url, seconds=0.4)
        await asyncio.wait_for(hung_up.wait(), 10)


class Closing:
    """Hangs up on the first `times` requests; then it answers."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.requests = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        self.requests += 1
        if self.requests > self.times:
            write_answer(writer, GOOD)
            await writer.drain()
        writer.close()


async def test_a_call_whose_connection_was_closed_is_sent_once_more() -> None:
    closing = Closing(times=1)
    async with serving(closing.handle) as url:
        assert (await rerank(None, url)).scores == [0.25, 0.5, 0]
    assert closing.requests == 2


async def test_a_connection_that_closes_twice_is_given_up() -> None:
    closing = Closing(times=5)
    async with serving(closing.handle) as url:
        with pytest.raises(RerankerUnavailable, match="The reranker does not answer"):
            await rerank(None, url)
    assert closing.requests == 2


async def test_nobody_listening() -> None:
    async with serving(lambda *_: None) as url:
        pass
    with pytest.raises(RerankerUnavailable, match="The reranker does not answer"):
        await rerank(None, url)


async def test_a_connection_is_kept_for_the_next_call_and_closed_at_the_end() -> None:
    connections = []
    ended = asyncio.Event()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        try:
            while True:
                await read_request(reader)
                write_answer(writer, GOOD)
        except asyncio.IncompleteReadError:
            ended.set()
        writer.close()

    async with serving(keep) as url:
        reranker = make_reranker(Settings.model_validate({"rerank_url": url, "rerank_style": "tei"}))
        assert reranker is not None
        for _ in range(3):
            assert (await reranker.rerank("q", TEXTS)).order == [1, 0, 2]
        assert len(connections) == 1
        assert not ended.is_set()
        await reranker.close()
        await asyncio.wait_for(ended.wait(), 10)
