"""What an embedding model is to the rest of the service, and the check every answer passes."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ragstore.errors import ProviderFailed, RagstoreError

DIMENSIONS = 1536

# pgvector sums squares in float32: a norm outside these makes its cosine distance NaN
LEAST_SQUARED_NORM = 1e-30
MOST_SQUARED_NORM = 1e30

# how far from 1 a length may be and still count as 1: provider vectors pass through bit for bit
UNIT_TOLERANCE = 1e-4


# Which of the texts, and their vectors: awaited for each part as soon as it is there.
OnBatch = Callable[[slice, NDArray[np.float32]], Awaitable[None]]


class Embedder(Protocol):
    """Vectors come in the order of the texts, zero-padded to 1536, of unit length.

    Raises ProviderFailed for an answer that cannot be used, ProviderRefused where another try would be answered the
    same, and ProviderUnavailable for no answer; a text that is empty is the caller's mistake (ValueError), except with
    the local model.
    """

    @property
    def model(self) -> str:
        """The name collections store."""
        ...

    @property
    def dimensions(self) -> int:
        """Native width before padding; 0 while a provider's model has not answered yet."""
        ...

    async def embed_documents(self, texts: Sequence[str], *, on_batch: OnBatch | None = None) -> NDArray[np.float32]:
        """Shape (n, 1536). `on_batch` has seen every part that is there by then, also when this raises."""
        ...

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        """Shape (1536,)."""
        ...

    async def close(self) -> None: ...


def pad_vectors(vectors: NDArray[np.float32], *, error: type[RagstoreError] = ProviderFailed) -> NDArray[np.float32]:
    """Shape (n, d) to (n, 1536): zeros behind, which leave cosine, inner product and L2 as they were.

    Raises `error` for d > 1536: cutting a vector that was not trained for it would quietly spoil the search.
    """
    width = vectors.shape[1]
    if width > DIMENSIONS:
        raise error(f"The vectors have {width} dimensions, at most {DIMENSIONS} can be stored")
    if width == DIMENSIONS:
        return vectors
    padded = np.zeros((len(vectors), DIMENSIONS), dtype=np.float32)
    padded[:, :width] = vectors
    return padded


def check_vectors(
    vectors: NDArray[np.float32], shape: tuple[int, int], *, error: type[RagstoreError] = ProviderFailed
) -> None:
    """Raises `error` naming the first row that is NaN, infinite, or too short or long to have a direction."""
    if vectors.shape != shape:
        raise error(f"The vectors have shape {vectors.shape} where {shape} was expected")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise error(f"Vector {int(np.argmin(finite))} holds NaN or infinity")
    squared = squared_norms(vectors)
    usable = (squared >= LEAST_SQUARED_NORM) & (squared <= MOST_SQUARED_NORM)
    if not usable.all():
        row = int(np.argmin(usable))
        fault = "is all zero" if not vectors[row].any() else "is too short or too long to compare"
        raise error(f"Vector {row} {fault}")


def to_unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Checked vectors scaled to length 1; rows that already have it are not touched."""
    norms = np.sqrt(squared_norms(vectors))
    norms[np.abs(norms - 1) <= UNIT_TOLERANCE] = 1
    if (norms == 1).all():
        return vectors
    scaled: NDArray[np.float32] = (vectors / norms[:, None]).astype(np.float32)
    return scaled


def squared_norms(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", wide, wide)
    return squares
