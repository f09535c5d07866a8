"""Any endpoint that speaks OpenAI's `/embeddings`."""

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from openai import AsyncOpenAI, OpenAIError, omit

from ragstore.embedding.answers import read_answer
from ragstore.embedding.faults import DEFAULT_RETRY_AFTER, TextsRefused, translate_error
from ragstore.embedding.provider import DIMENSIONS, OnBatch, check_vectors, pad_vectors, to_unit_length
from ragstore.embedding.tokens import count_tokens
from ragstore.errors import ProviderFailed, ProviderUnavailable, RagstoreError
from ragstore.settings import Settings


def takes_dimensions(model: str) -> bool:
    """Whether the model can be asked for 1536 dimensions; gateways put a vendor before the name."""
    return model.rsplit("/", 1)[-1].startswith("text-embedding-3-")


class OpenAICompatibleEmbedder:
    """`slots` bounds the calls for documents, shared by all models; queries do not queue behind them."""

    def __init__(
        self,
        model: str,
        client: AsyncOpenAI,
        settings: Settings,
        slots: asyncio.Semaphore,
        *,
        send_dimensions: bool | None = None,
    ) -> None:
        self.model = model
        self.client = client
        self.settings = settings
        self.slots = slots
        self.send_dimensions = takes_dimensions(model) if send_dimensions is None else send_dimensions
        self.dimensions = DIMENSIONS if self.send_dimensions else 0

    async def embed_documents(self, texts: Sequence[str], *, on_batch: OnBatch | None = None) -> NDArray[np.float32]:
        """After a call that fails no other begins; those under way are paid for, so they may finish. A refused text
        says nothing of the others: they are all embedded before TextsRefused tells which calls were refused.
        """
        refuse_blank(texts)
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        counts = await asyncio.to_thread(count_tokens, texts) if len(texts) > 1 else [0] * len(texts)
        refused: list[TextsRefused] = []
        failed: list[RagstoreError] = []

        async def fill(part: slice) -> None:
            async with self.slots:
                if failed:
                    return
                try:
                    vectors[part] = await self.call(texts[part], part.start)
                except RagstoreError as error:
                    (refused if isinstance(error, TextsRefused) else failed).append(error)  # type: ignore[arg-type]  # as tested
                    return
            if on_batch is not None:
                await on_batch(part, vectors[part])

        try:
            async with asyncio.TaskGroup() as calls:
                for part in split(counts, self.settings.embedding_batch_texts, self.settings.embedding_batch_tokens):
                    calls.create_task(fill(part))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        raise_failures(failed, refused)
        return vectors

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        refuse_blank([text])
        return (await self.call([text], 0)).reshape(DIMENSIONS)

    async def close(self) -> None:
        """Leaves the client open: whoever made it closes it."""

    async def call(self, texts: Sequence[str], first: int) -> NDArray[np.float32]:
        """One answer within `embedding_timeout`, retries, pauses and a dripping body included."""
        try:
            async with asyncio.timeout(self.settings.embedding_timeout):
                response = await self.client.embeddings.with_raw_response.create(
                    model=self.model,
                    input=list(texts),
                    encoding_format="base64",
                    dimensions=DIMENSIONS if self.send_dimensions else omit,
                )
        except TimeoutError:
            raise ProviderUnavailable(
                f"The model provider gave no answer in {self.settings.embedding_timeout:g} s",
                retry_after=DEFAULT_RETRY_AFTER,
            ) from None
        except OpenAIError as error:
            raise translate_error(error, self.client, self.model, first, len(texts)) from None
        return self.finish(read_answer(response.content, len(texts)))

    def finish(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        width = vectors.shape[1]
        padded = pad_vectors(vectors)
        if self.dimensions not in (0, width):
            raise ProviderFailed(f"{self.model} answered {width} dimensions instead of {self.dimensions}")
        check_vectors(padded, (len(vectors), DIMENSIONS))
        self.dimensions = width
        return to_unit_length(padded)


def raise_failures(failed: Sequence[RagstoreError], refused: Sequence[TextsRefused]) -> None:
    if failed:
        raise failed[0]
    if refused:
        first, *others = sorted(refused, key=lambda one: one.first)
        first.calls += [call for one in others for call in one.calls]
        raise first


def refuse_blank(texts: Sequence[str]) -> None:
    for position, text in enumerate(texts):
        if not text.strip():
            raise ValueError(f"text {position} is empty")


def split(token_counts: Sequence[int], most_texts: int, most_tokens: int) -> Iterator[slice]:
    """Consecutive parts within both limits; a text that is over the limit alone is a part of its own."""
    start = tokens = 0
    for position, count in enumerate(token_counts):
        if position > start and (position - start >= most_texts or tokens + count > most_tokens):
            yield slice(start, position)
            start, tokens = position, 0
        tokens += count
    if token_counts:
        yield slice(start, len(token_counts))
