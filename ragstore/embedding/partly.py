"""Embeds what the provider takes and finds out which texts it refuses: a refused call is halved until one is left."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragstore.embedding.faults import TextsRefused
from ragstore.embedding.provider import DIMENSIONS, Embedder, OnBatch

# Refused calls that are halved, of one list of texts: two calls each. Enough for one text of a full batch of 2,048, or
# for some of a smaller one; of what is then still refused together nobody says which text it was.
MOST_HALVED = 24


@dataclass(frozen=True)
class PartlyEmbedded:
    """`refused`: by position, what the provider said. The vectors of those are zero."""

    vectors: NDArray[np.float32]
    refused: dict[int, TextsRefused]


async def embed_partly(embedder: Embedder, texts: Sequence[str], *, on_batch: OnBatch | None = None) -> PartlyEmbedded:
    """Raises what `embed_documents` raises, but for TextsRefused."""
    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    refused: dict[int, TextsRefused] = {}
    waiting, halved = [slice(0, len(texts))], 0
    while waiting:
        part = waiting.pop()

        async def take(within: slice, found: NDArray[np.float32], offset: int = part.start) -> None:
            there = slice(offset + within.start, offset + within.stop)
            vectors[there] = found
            if on_batch is not None:
                await on_batch(there, found)

        try:
            await embedder.embed_documents(texts[part], on_batch=take)
        except TextsRefused as error:
            for call in error.calls:
                first, end = part.start + call.start, part.start + call.stop
                if end - first > 1 and halved < MOST_HALVED:
                    halved += 1
                    middle = (first + end) // 2
                    waiting += [slice(middle, end), slice(first, middle)]
                else:
                    refused |= dict.fromkeys(range(first, end), error)
    return PartlyEmbedded(vectors, refused)
