"""A few hundred vectors of each collection, at hand: how near to a question its passages usually are."""

import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.schemas import Metric
from ragstore.collection.service import CollectionHandle
from ragstore.database import AnySession
from ragstore.search import queries
from ragstore.search.pool import to_similarity

SIZE = 256
MOST_KEPT = 64  # collections; each takes 0.8 MB at most
LONGEST_KEPT, SHORTEST_KEPT = 600.0, 2.0  # seconds
LOOKED_AT = 10_000  # codes, for each second that a sample is kept though there are more or fewer by now
Key = tuple[uuid.UUID, uuid.UUID, int]


@dataclass(frozen=True)
class Sample:
    """`vectors` (n, width) float16, or float32 where they are too long for it: the columns that are not all zero come
    first in every model.
    """

    vectors: NDArray[np.floating]
    chunks: int
    taken_at: float

    def holds(self, chunks: int) -> bool:
        """Whether it still speaks for a collection of so many chunks."""
        age = time.monotonic() - self.taken_at
        if chunks == self.chunks:
            return age < LONGEST_KEPT
        # Of a collection that is being filled, a new one only now and then: it takes a look at all codes.
        return age < max(SHORTEST_KEPT, chunks / LOOKED_AT) and self.chunks / 2 <= chunks <= 2 * self.chunks


@dataclass(frozen=True)
class Samples:
    """Of the collections that this process was asked about last."""

    kept: OrderedDict[Key, Sample] = field(default_factory=OrderedDict)

    async def find(self, session: AnySession, tenant_id: uuid.UUID, handle: CollectionHandle, chunks: int) -> Sample:
        """Read anew when it is old, or the collection has half or twice as many chunks as then."""
        key = (tenant_id, handle.id, handle.model_id)
        sample = self.kept.get(key)
        if sample is None or not sample.holds(chunks):
            scope = {"tenant_id": tenant_id, "collection_id": handle.id, "model_id": handle.model_id}
            vectors = await queries.sample_vectors(session, scope, chunks, SIZE)
            sample = self.kept[key] = Sample(trim(vectors), chunks, time.monotonic())
        self.kept.move_to_end(key)
        while len(self.kept) > MOST_KEPT:
            self.kept.popitem(last=False)
        return sample


def trim(vectors: list[NDArray[np.float32]]) -> NDArray[np.floating]:
    if not vectors:
        return np.zeros((0, 0), np.float16)
    stacked = np.stack(vectors)
    used = np.flatnonzero(stacked.any(axis=0))
    trimmed = stacked[:, : int(used[-1]) + 1 if len(used) else 0]
    fits = np.abs(trimmed).max(initial=0) <= np.finfo(np.float16).max
    return trimmed.astype(np.float16) if fits else trimmed


def measure_similarity(sample: Sample, vector: NDArray[np.float32], metric: Metric) -> NDArray[np.float64]:
    """Of each sampled vector to the question's, as scores of the search are."""
    vectors = sample.vectors.astype(np.float32)
    products = (vectors @ vector[: vectors.shape[1]]).astype(np.float64)
    if metric == "inner_product":
        return products
    norm = float(np.linalg.norm(vector))
    norms: NDArray[np.float64] = np.linalg.norm(vectors, axis=1).astype(np.float64)
    if metric == "cosine":
        cosines: NDArray[np.float64] = products / np.maximum(norms * norm, 1e-12)
        return cosines
    return to_similarity(np.sqrt(np.maximum(norms**2 - 2 * products + norm**2, 0.0)), "l2")
