"""The model that needs no key and no network: wordllama, 256 dimensions, weights inside its wheel.

A text's vector is the mean of its tokens' vectors, scaled to length 1; the same text has the same vector in every
batch. Only the files of the wheel are used (see `tokens.wordllama_file`).
"""

import asyncio
from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from ragstore.embedding.provider import DIMENSIONS, OnBatch
from ragstore.embedding.tokens import encode_texts, known_words, wordllama_file

MODEL = "local"
NATIVE_DIMENSIONS = 256
WEIGHTS_FILE = "weights/l2_supercat_256.safetensors"

# The one dimension a blank text has: similarity 0 to every text with words in it.
NOTHING_RECOGNISED = NATIVE_DIMENSIONS

INLINE_CHARACTERS = 1000  # a query up to here takes well under 1 ms: cheaper than a thread's round trip
BLOCK_TOKENS = 8192  # tokens gathered at once: bounds the memory of a very long text to 8 MB
BATCH_TEXTS = 256  # texts tokenized at once


class LocalEmbedder:
    model = MODEL
    dimensions = NATIVE_DIMENSIONS

    def __init__(self) -> None:
        self.lock = Lock()
        self.weights: NDArray[np.float32] | None = None

    def load(self) -> NDArray[np.float32]:
        """Token vectors, shape (32000, 256). The first call reads 16 MB from disk (0.2 s); call it at start."""
        with self.lock:
            if self.weights is None:
                known_words()
                with safe_open(wordllama_file(WEIGHTS_FILE), framework="np") as file:
                    self.weights = np.ascontiguousarray(file.get_tensor("embedding.weight"), dtype=np.float32)
            return self.weights

    async def embed_documents(self, texts: Sequence[str], *, on_batch: OnBatch | None = None) -> NDArray[np.float32]:
        vectors = await asyncio.to_thread(self.embed, list(texts))
        if on_batch is not None:
            await on_batch(slice(0, len(texts)), vectors)
        return vectors

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        if len(text) > INLINE_CHARACTERS or self.weights is None:
            vectors = await asyncio.to_thread(self.embed, [text])
        else:
            vectors = self.embed([text])
        return vectors.reshape(DIMENSIONS)

    async def close(self) -> None: ...

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Shape (n, 1536). Blocks: 0.1 to 0.5 ms a passage."""
        weights = self.load()
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for start in range(0, len(texts), BATCH_TEXTS):
            batch = texts[start : start + BATCH_TEXTS]
            for row, (text, ids) in enumerate(zip(batch, encode_texts(batch), strict=True), start):
                write_vector(vectors[row], text, ids, weights)
        return vectors


def write_vector(row: NDArray[np.float32], text: str, ids: NDArray[np.uint16], weights: NDArray[np.float32]) -> None:
    total = np.zeros(NATIVE_DIMENSIONS, dtype=np.float32)
    if text.strip():
        for start in range(0, len(ids), BLOCK_TOKENS):
            total += weights.take(ids[start : start + BLOCK_TOKENS], axis=0).sum(axis=0)
    length = float(np.linalg.norm(total))
    if length > 0:
        row[:NATIVE_DIMENSIONS] = total / np.float32(length)
    else:
        row[NOTHING_RECOGNISED] = 1
