"""Any HTTP endpoint that reranks: no redirects, bounded answers, one deadline for all of a call."""

import asyncio
from collections.abc import Sequence

import httpx
import structlog

from ragstore.errors import ConfigurationError, RerankerUnavailable
from ragstore.reranking.answers import read_scores
from ragstore.reranking.questions import write_question
from ragstore.reranking.reranker import Reranker, Reranking, order_by_score
from ragstore.settings import Settings

log = structlog.get_logger(__name__)

# 1000 texts of 4,000 characters, for servers that send them back although they were asked not to
MAX_ANSWER_BYTES = 16 * 1024 * 1024

MOST_PORT = 65535

# What a kept connection ends with when the server closed it just now.
WAS_CLOSED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


def make_reranker(settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None) -> Reranker | None:
    """None without `RAGSTORE_RERANK_URL`. `transport` replaces the network (tests).

    Raises ConfigurationError for a URL that is none.
    """
    if settings.rerank_url is None:
        return None
    try:
        url = httpx.URL(settings.rerank_url)
    except httpx.InvalidURL:
        url = httpx.URL()
    if not url.host or (url.port or 0) > MOST_PORT:
        raise ConfigurationError("RAGSTORE_RERANK_URL must be the whole URL of an endpoint, https://host/path")
    return RerankEndpoint(settings, url, transport)


class RerankEndpoint:
    """One client, made at the first call and shared by all. Blank texts are not sent: some endpoints refuse them."""

    def __init__(self, settings: Settings, url: httpx.URL, transport: httpx.AsyncBaseTransport | None) -> None:
        self.settings = settings
        self.url = url
        self.transport = transport
        self.client: httpx.AsyncClient | None = None

    @property
    def candidates(self) -> int:
        return self.settings.rerank_candidates

    async def rerank(self, query: str, texts: Sequence[str]) -> Reranking:
        scores: list[float | None] = [None] * len(texts)
        sent = [index for index, text in enumerate(texts) if text.strip()]
        if sent and query.strip():
            for index, score in zip(sent, await self.ask(query, [texts[index] for index in sent]), strict=True):
                scores[index] = score
        return order_by_score(scores)

    async def ask(self, query: str, texts: Sequence[str]) -> list[float | None]:
        """Logs what went wrong, but not what the endpoint said to it: that may repeat a text."""
        body = write_question(self.settings.rerank_style, self.settings.rerank_model, query, texts)
        try:
            return read_scores(await self.post_in_time(body), len(texts))
        except RerankerUnavailable as error:
            log.warning("reranker_unavailable", reason=error.detail, host=self.url.host)
            raise

    async def post_in_time(self, body: bytes) -> bytes:
        """Within `rerank_timeout`, the second attempt and a dripping body included."""
        try:
            async with asyncio.timeout(self.settings.rerank_timeout):
                try:
                    return await self.post(body)
                except WAS_CLOSED:
                    return await self.post(body)
        except (TimeoutError, httpx.TimeoutException):
            raise RerankerUnavailable(f"The reranker gave no answer in {self.settings.rerank_timeout:g} s") from None
        except httpx.HTTPError:
            raise RerankerUnavailable("The reranker does not answer") from None

    async def post(self, body: bytes) -> bytes:
        if self.client is None:
            self.client = self.make_client()
        async with self.client.stream("POST", self.url, content=body) as response:
            if not response.is_success:
                raise RerankerUnavailable(describe_status(response.status_code))
            if response.headers.get("content-encoding", "identity") != "identity":
                raise RerankerUnavailable("The reranker sent a compressed body although none was accepted")
            answer = bytearray()
            async for part in response.aiter_raw():
                answer += part
                if len(answer) > MAX_ANSWER_BYTES:
                    raise RerankerUnavailable(f"The reranker's answer is larger than {MAX_ANSWER_BYTES} bytes")
            return bytes(answer)

    def make_client(self) -> httpx.AsyncClient:
        # an honest server then sends no compressed body, and one that does is refused: no gzip bombs
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self.settings.rerank_api_key:
            headers["Authorization"] = f"Bearer {self.settings.rerank_api_key.get_secret_value()}"
        return httpx.AsyncClient(
            transport=self.transport, headers=headers, timeout=self.settings.rerank_timeout, follow_redirects=False
        )

    async def close(self) -> None:
        if self.client is not None:
            await self.client.aclose()
            self.client = None


def describe_status(status: int) -> str:
    if status in (401, 403):
        return f"The reranker refused the API key ({status})"
    if 300 <= status < 400:
        return f"The reranker redirects elsewhere ({status}), which is not followed"
    if status == 429:
        return "The reranker is limiting requests (429)"
    if status >= 500:
        return f"The reranker is not available ({status})"
    return f"The reranker refused the request ({status})"
