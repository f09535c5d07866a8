"""Every way a provider fails, and what comes of it (reliability group C)."""

import asyncio
import base64
import gzip
import time
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from typing import Any

import numpy as np
import pytest

from ragstore.embedding import client as client_module
from ragstore.embedding.faults import TextsRefused
from ragstore.embedding.provider import OnBatch
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import ProviderFailed, ProviderRefused, ProviderUnavailable
from ragstore.settings import Settings
from tests.fake_openai import FakeOpenAI, Fault, Item, embedding_item, fake_vector

KEY = "sk-secret-1234567890"
MODEL = "text-embedding-3-small"

Change = Callable[[list[Item]], list[Item]]


class Provider(FakeOpenAI):
    url = "http://provider/v1"

    async def embed(self, texts: list[str], *, on_batch: OnBatch | None = None, **settings: Any) -> Any:
        values = {"openai_api_key": KEY, "openai_base_url": self.url, "embedding_retries": 0}
        transport = self.transport() if self.url == Provider.url else None
        registry = EmbedderRegistry(Settings.model_validate(values | settings), transport=transport)
        try:
            return await registry.get(MODEL).embed_documents(texts, on_batch=on_batch)
        finally:
            await registry.close()


@pytest.fixture
def provider() -> Provider:
    return Provider()


def with_vector(vector: Any, width: int = 1536) -> Change:
    filled = np.resize(np.array(vector, dtype=np.float32), width)
    return lambda items: [*items[:-1], embedding_item(len(items) - 1, filled, True)]


def with_indexes(*indexes: int) -> Change:
    return lambda items: [item | {"index": index} for item, index in zip(items, indexes, strict=True)]


def with_embedding(embedding: Any) -> Change:
    return lambda items: [*items[:-1], items[-1] | {"embedding": embedding}]


async def test_answers_are_placed_by_index(provider: Provider) -> None:
    provider.script(Fault(change=lambda items: [items[2], items[0], items[1]]))
    vectors = await provider.embed(["a", "b", "c"])
    np.testing.assert_array_equal(vectors, np.stack([fake_vector(text) for text in "abc"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda items: items[:2], "2 vectors for 3 texts"),
        (lambda items: [*items, items[0] | {"index": 3}], "4 vectors for 3 texts"),
        (lambda items: [], "0 vectors for 3 texts"),
        (with_indexes(0, 1, 1), "indexes"),
        (with_indexes(0, 1, 3), "indexes"),
        (with_indexes(1, 2, 3), "indexes"),
        (with_indexes(0, 1, -1), "indexes"),
        (with_vector(np.nan), "Vector 2 holds NaN"),
        (with_vector(np.inf), "Vector 2 holds NaN or infinity"),
        (with_vector(0), "Vector 2 is all zero"),
        (with_vector(1, width=512), r"\[512, 1536\] dimensions in one call"),
        (with_embedding(""), "dimensions in one call"),
        (with_embedding([]), "dimensions in one call"),
        (with_embedding([1e300] * 1536), "Vector 2 holds NaN or infinity"),
        (with_embedding("not base64!"), "no base64"),
        (with_embedding(base64.b64encode(b"12345").decode()), "no base64 of float32"),
        (with_embedding(["1"] * 1536), "no list of embeddings"),
        (with_embedding([None]), "no list of embeddings"),
        (with_embedding(None), "no list of embeddings"),
        (lambda items: [{"embedding": item["embedding"]} for item in items], "no list of embeddings"),
        (with_indexes(0, 1, 10**30), "indexes"),
    ],
)
async def test_answers_that_do_not_fit_are_refused(provider: Provider, change: Change, message: str) -> None:
    provider.script(Fault(change=change))
    with pytest.raises(ProviderFailed, match=message):
        await provider.embed(["a", "b", "c"])
    assert len(provider.calls) == 1


@pytest.mark.parametrize(
    "body",
    [b"<html>Bad gateway</html>", b"", b"null", b"[]", b'{"data": 1}', b'{"data": [{"in', b"\xff\xfe", b"[" * 9000],
)
@pytest.mark.parametrize("media_type", ["application/json", "text/html"])
async def test_other_bodies_are_refused(provider: Provider, body: bytes, media_type: str) -> None:
    provider.script(Fault(body=body, media_type=media_type))
    with pytest.raises(ProviderFailed, match="no list of embeddings"):
        await provider.embed(["a"])


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry-after": "7"}, 7, 7),
        ({"retry-after-ms": "4500"}, 4.5, 4.5),
        ({"retry-after": "86400"}, 60, 60),
        ({"retry-after": "inf"}, 60, 60),
        ({"retry-after": "-3"}, 0, 0),
        ({"retry-after": "in 40 s"}, 20, 40),
        ({"retry-after": "soon"}, 5, 5),
        ({"retry-after": "nan"}, 5, 5),
        ({}, 5, 5),
    ],
)
async def test_429_says_when_to_come_back(
    provider: Provider, headers: dict[str, str], least: float, most: float
) -> None:
    if headers.get("retry-after") == "in 40 s":  # a date, from when the test runs
        headers = {"retry-after": formatdate(time.time() + 40, usegmt=True)}
    provider.script(Fault(status=429, headers=headers))
    with pytest.raises(ProviderUnavailable, match="limiting requests") as caught:
        await provider.embed(["a"])
    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after <= most


async def test_a_long_pause_is_passed_on_and_a_short_one_is_waited_for(provider: Provider) -> None:
    provider.script(Fault(status=429, headers={"retry-after": "20"}))
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.embed(["a"], embedding_retries=2)
    assert (caught.value.retry_after, len(provider.calls)) == (20, 1)
    provider.script(Fault(status=429, headers={"retry-after-ms": "5"}))
    assert (await provider.embed(["a"], embedding_retries=2)).shape == (1, 1536)
    assert len(provider.calls) == 3
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_said_and_never_shown(provider: Provider, status: int) -> None:
    body = f'{{"error": {{"message": "Incorrect API key provided: {KEY}"}}}}'.encode()
    provider.script(Fault(status=status, body=body))
    with pytest.raises(ProviderRefused, match="refused the API key") as caught:
        await provider.embed(["a"], embedding_retries=2)
    assert KEY not in repr(caught.value) + str(caught.value.__cause__)
    assert len(provider.calls) == 1


async def test_a_refused_text_is_named(provider: Provider) -> None:
    body = f'{{"error": {{"message": "maximum context length is 8192 tokens {KEY}"}}}}'.encode()
    provider.script(Fault(), Fault(status=400, body=body))
    with pytest.raises(TextsRefused, match=r"refused text 1 .*maximum context length is 8192 tokens …") as caught:
        await provider.embed(["a", "b"], embedding_batch_texts=1, embedding_concurrency=1)
    assert (caught.value.first, caught.value.count) == (1, 1)
    assert caught.value.title() == ProviderRefused.title()
    provider.script(Fault(status=400, body=b"plain"))
    with pytest.raises(TextsRefused, match="one of texts 0 to 1") as caught:
        await provider.embed(["a", "b"])
    assert (caught.value.first, caught.value.count) == (0, 2)


async def test_an_unknown_model_is_the_providers_fault(provider: Provider) -> None:
    provider.script(Fault(status=404))
    with pytest.raises(ProviderRefused, match=f"cannot serve the model {MODEL} .404.: scripted 404"):
        await provider.embed(["a"])


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 529])
async def test_busy_providers_are_tried_again_and_then_unavailable(provider: Provider, status: int) -> None:
    fault = Fault(status=status, headers={"retry-after-ms": "1"}, body=b"<html>", media_type="text/html")
    provider.script(fault, fault)
    assert (await provider.embed(["a"], embedding_retries=2)).shape == (1, 1536)
    provider.script(fault, fault)
    with pytest.raises(ProviderUnavailable):
        await provider.embed(["a"], embedding_retries=1)
    assert len(provider.calls) == 5


async def test_redirects_are_not_followed(provider: Provider) -> None:
    provider.script(Fault(status=307, headers={"location": "http://internal/v1/embeddings"}))
    with pytest.raises(ProviderRefused, match="redirects"):
        await provider.embed(["a"])
    assert len(provider.calls) == 1


async def test_bodies_too_large_or_compressed_are_refused(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    provider.script(Fault(body=gzip.compress(b" " * 10_000_000), headers={"content-encoding": "gzip"}))
    with pytest.raises(ProviderFailed, match="gzip"):
        await provider.embed(["a"])
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 20_000)
    assert (await provider.embed(["a"])).shape == (1, 1536)
    with pytest.raises(ProviderFailed, match="larger than 20000 bytes"):
        await provider.embed(["a", "b", "c"])


async def test_after_a_failed_call_no_other_begins_and_those_under_way_are_not_lost(provider: Provider) -> None:
    provider.script(Fault(delay=0.2), Fault(status=500), Fault(delay=0.2))
    seen: list[slice] = []

    async def see(part: slice, vectors: Any) -> None:
        np.testing.assert_array_equal(vectors, [fake_vector(text) for text in "abcdefgh"[part]])
        seen.append(part)

    with pytest.raises(ProviderUnavailable):
        await provider.embed(list("abcdefgh"), on_batch=see, embedding_batch_texts=1, embedding_concurrency=3)
    assert len(provider.calls) == 3
    assert sorted(part.start for part in seen) == [0, 2]


async def test_a_slow_answer_ends_at_the_deadline(provider: Provider) -> None:
    provider.script(Fault(delay=5))
    with pytest.raises(ProviderUnavailable, match=r"no answer in 0\.2 s"):
        await provider.embed(["a"], embedding_timeout=0.2, embedding_retries=2)


@pytest.fixture
async def dripping() -> AsyncIterator[tuple[int, list[bool]]]:
    """A real server whose body never ends: a byte every 20 ms. Its port, and a flag once the client hung up."""
    hung_up: list[bool] = []

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
        try:
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        hung_up.append(True)
        writer.close()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], hung_up


async def test_a_dripping_body_ends_at_the_deadline(provider: Provider, dripping: tuple[int, list[bool]]) -> None:
    port, hung_up = dripping
    provider.url = f"http://127.0.0.1:{port}/v1"
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable, match=r"no answer in 0\.5 s"):
        await provider.embed(["a"], embedding_timeout=0.5, embedding_retries=2)
    assert time.monotonic() - started < 1.5
    await asyncio.sleep(0.2)
    assert hung_up == [True]


async def test_nobody_listening(provider: Provider) -> None:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
    provider.url = f"http://127.0.0.1:{port}/v1"
    with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1 does not answer"):
        await provider.embed(["a"])
