"""The embedders of this process, by the model names collections store."""

import asyncio

import httpx2
from openai import AsyncOpenAI

from ragstore.embedding.client import make_openai_client
from ragstore.embedding.local import MODEL as LOCAL_MODEL
from ragstore.embedding.local import LocalEmbedder
from ragstore.embedding.openai_compatible import OpenAICompatibleEmbedder
from ragstore.embedding.provider import Embedder
from ragstore.errors import Unprocessable
from ragstore.settings import Settings


class EmbedderRegistry:
    """`transport` replaces the network (tests). All provider models share one client and one bound on calls."""

    def __init__(self, settings: Settings, *, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self.settings = settings
        self.transport = transport
        self.default_model = settings.default_embedding_model
        self.local = LocalEmbedder()
        self.embedders: dict[str, Embedder] = {LOCAL_MODEL: self.local}
        self.client: AsyncOpenAI | None = None
        self.slots = asyncio.Semaphore(settings.embedding_concurrency)

    def get(self, model: str) -> Embedder:
        """The same object for the same name. Raises Unprocessable (422) when no provider is configured for it."""
        embedder = self.embedders.get(model)
        if embedder is None:
            if not model.strip():
                raise Unprocessable("The embedding model has no name")
            embedder = OpenAICompatibleEmbedder(model, self.provider_client(model), self.settings, self.slots)
            self.embedders[model] = embedder
        return embedder

    def provider_client(self, model: str) -> AsyncOpenAI:
        if self.client is None:
            if not (self.settings.openai_api_key or self.settings.openai_base_url):
                raise Unprocessable(
                    f"The embedding model {model!r} needs a provider: set OPENAI_API_KEY or OPENAI_BASE_URL, "
                    f"or use the model {LOCAL_MODEL!r}"
                )
            self.client = make_openai_client(self.settings, self.transport)
        return self.client

    async def load(self) -> None:
        """Reads the local model and the tokenizer, so that no request waits for it."""
        await asyncio.to_thread(self.local.load)

    async def close(self) -> None:
        for embedder in self.embedders.values():
            await embedder.close()
        if self.client is not None:
            await self.client.close()
            self.client = None
        self.embedders = {LOCAL_MODEL: self.local}
