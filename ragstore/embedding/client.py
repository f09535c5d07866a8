"""The HTTP client to the model provider: official openai client, no redirects, bounded answers, short waits."""

import math
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from ragstore.errors import ConfigurationError, ProviderFailed
from ragstore.settings import Settings

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_SECONDS = 5.0

# 2048 texts × 1536 numbers of 20 characters
MAX_ANSWER_BYTES = 64 * 1024 * 1024

# A provider that asks for a longer pause gets no retry from here: the job or the client of the search is told the time.
PATIENCE_SECONDS = 3.0
MAX_RETRY_AFTER = 60.0


def make_openai_client(settings: Settings, transport: httpx2.AsyncBaseTransport | None = None) -> AsyncOpenAI:
    """A client for `OPENAI_BASE_URL`, or OpenAI itself. Raises ConfigurationError for a URL that is none."""
    url = settings.openai_base_url or OPENAI_URL
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError("OPENAI_BASE_URL must start with http:// or https://")
    timeout = httpx2.Timeout(settings.embedding_timeout, connect=min(CONNECT_SECONDS, settings.embedding_timeout))
    return AsyncOpenAI(
        api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else "unused",
        base_url=url,
        max_retries=settings.embedding_retries,
        # an honest server then sends no compressed body, and one that does is refused: no gzip bombs
        default_headers={"Accept-Encoding": "identity"},
        http_client=DefaultAsyncHttpxClient(
            transport=transport,
            timeout=timeout,
            follow_redirects=False,
            event_hooks={"response": [guard_response]},
        ),
    )


async def guard_response(response: httpx2.Response) -> None:
    """Bounds the body before it is read, and tells the openai client not to sleep through a long Retry-After."""
    encoding = response.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise ProviderFailed(f"The model provider sent a {encoding} body although none was accepted")
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = BoundedStream(response.stream)
    pause = read_retry_after(response.headers)
    if pause is not None and pause > PATIENCE_SECONDS:
        response.headers["x-should-retry"] = "false"


class BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self.stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async for part in self.stream:
            received += len(part)
            if received > MAX_ANSWER_BYTES:
                raise ProviderFailed(f"The model provider's answer is larger than {MAX_ANSWER_BYTES} bytes")
            yield part

    async def aclose(self) -> None:
        await self.stream.aclose()


def read_retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds to wait, from 0 to 60, of `retry-after-ms` or `retry-after` (seconds or a date); None without one."""
    seconds = parse_number(headers.get("retry-after-ms"))
    if seconds is not None:
        seconds /= 1000
    else:
        seconds = parse_number(headers.get("retry-after"))
    if seconds is None:
        seconds = parse_date(headers.get("retry-after"))
    return None if seconds is None else min(max(seconds, 0.0), MAX_RETRY_AFTER)


def parse_number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return None if math.isnan(number) else number


def parse_date(value: str | None) -> float | None:
    try:
        return parsedate_to_datetime(value or "").timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
