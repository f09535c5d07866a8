"""Any endpoint that speaks OpenAI's `/chat/completions`, streamed or not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from openai import AsyncOpenAI, AsyncStream, BadRequestError, OpenAIError
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from ragstore.embedding.client import make_openai_client
from ragstore.embedding.faults import DEFAULT_RETRY_AFTER, translate_error
from ragstore.errors import ProviderFailed, ProviderRefused, ProviderUnavailable, RagstoreError
from ragstore.generation.model import ChatModel, Completion, Messages
from ragstore.settings import Settings

LIMIT, OLD_LIMIT = "max_completion_tokens", "max_tokens"
STREAM_OPTIONS = "stream_options"
FAULTS = (OpenAIError, TimeoutError, httpx2.HTTPError, ValueError)  # a ValueError is JSON that is none


def make_chat_model(settings: Settings, *, transport: httpx2.AsyncBaseTransport | None = None) -> ChatModel | None:
    """None without `RAGSTORE_CHAT_MODEL`. `transport` replaces the network (tests).

    Raises ConfigurationError for a URL that is none.
    """
    if not settings.chat_model:
        return None
    url, key = settings.chat_base_url or settings.openai_base_url, settings.chat_api_key or settings.openai_api_key
    given = settings.model_copy(
        update={
            "openai_base_url": url,
            "openai_api_key": key,
            "embedding_timeout": settings.chat_timeout,
            "embedding_retries": settings.chat_retries,
        }
    )
    return OpenAICompatibleChat(settings.chat_model, make_openai_client(given, transport), settings.chat_timeout)


class OpenAICompatibleChat:
    """`refused` are parameters that this endpoint does not know: newer models refuse `max_tokens`, older servers
    `max_completion_tokens` or `stream_options`. It is found out once.
    """

    def __init__(self, name: str, client: AsyncOpenAI, timeout: float) -> None:
        self.name = name
        self.client = client
        self.timeout = timeout
        self.refused: set[str] = set()

    async def complete(self, messages: Messages, *, max_tokens: int) -> Completion:
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self._ask(messages, max_tokens, stream=False)
        except FAULTS as error:
            raise self._translate(error) from None
        return self._read(answer)

    @asynccontextmanager
    async def stream(
        self, messages: Messages, completion: Completion, *, max_tokens: int
    ) -> AsyncIterator[AsyncIterator[str]]:
        stream: AsyncStream[ChatCompletionChunk] | None = None
        try:
            async with asyncio.timeout(self.timeout):
                stream = await self._ask(messages, max_tokens, stream=True)
                yield self._collect(stream, completion)
        except FAULTS as error:
            raise self._translate(error) from None
        finally:
            if stream is not None:
                await asyncio.shield(stream.close())

    async def close(self) -> None:
        await self.client.close()

    async def _collect(self, stream: AsyncStream[ChatCompletionChunk], completion: Completion) -> AsyncIterator[str]:
        async for chunk in stream:
            if chunk.usage is not None:
                completion.prompt_tokens = chunk.usage.prompt_tokens
                completion.completion_tokens = chunk.usage.completion_tokens
            for choice in (chunk.choices or [])[:1]:
                completion.finish = choice.finish_reason or completion.finish
                if piece := (choice.delta.content if choice.delta is not None else None):
                    completion.parts.append(piece)
                    yield piece
        if not completion.parts:
            raise ProviderFailed(f"The chat model {self.name} gave an answer without text")

    def _read(self, answer: ChatCompletion) -> Completion:
        choices = answer.choices or []
        text = choices[0].message.content if choices and choices[0].message is not None else None
        if not text:
            raise ProviderFailed(f"The chat model {self.name} gave an answer without text")
        usage = answer.usage
        return Completion(
            self.name,
            [text],
            usage.prompt_tokens if usage else None,
            usage.completion_tokens if usage else None,
            choices[0].finish_reason,
        )

    async def _ask(self, messages: Messages, max_tokens: int, *, stream: bool) -> Any:
        """Again without a parameter that the endpoint does not know."""
        while True:
            given = self._choose(max_tokens, stream=stream)
            try:
                return await self.client.chat.completions.create(
                    model=self.name,
                    messages=list(messages),  # type: ignore[arg-type]  # one of many shapes, as they were stored
                    stream=stream,
                    **given,
                )
            except BadRequestError as error:
                unknown = next((name for name in given if names(error, name)), None)
                if unknown is None:
                    raise
                self.refused.add(unknown)

    def _choose(self, max_tokens: int, *, stream: bool) -> dict[str, Any]:
        limit = next((name for name in (LIMIT, OLD_LIMIT) if name not in self.refused), None)
        given: dict[str, Any] = {} if limit is None else {limit: max_tokens}
        if stream and STREAM_OPTIONS not in self.refused:
            given[STREAM_OPTIONS] = {"include_usage": True}
        return given

    def _translate(self, error: Exception) -> RagstoreError:
        if isinstance(error, OpenAIError):
            translated = translate_error(error, self.client, self.name, 0, 1)
            if isinstance(translated, ProviderRefused) and isinstance(error, BadRequestError):
                return ProviderRefused(f"The chat model {self.name} refused the conversation{describe(error)}")
            return translated
        if isinstance(error, TimeoutError):
            detail = f"The chat model {self.name} gave no answer in {self.timeout:g} s"
        elif isinstance(error, ValueError):
            return ProviderFailed(f"The chat model {self.name} gave an answer that cannot be read")
        else:
            detail = f"The chat model {self.name} broke off its answer"
        return ProviderUnavailable(detail, retry_after=DEFAULT_RETRY_AFTER)


def names(error: BadRequestError, parameter: str) -> bool:
    """Whether the refusal is about this parameter."""
    body = error.body if isinstance(error.body, dict) else {}
    return body.get("param") == parameter or f"{parameter}" in str(body.get("message", ""))


def describe(error: BadRequestError) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    message = body.get("message")
    return f": {message[:300]}" if isinstance(message, str) and message else ""
