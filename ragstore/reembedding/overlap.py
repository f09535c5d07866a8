"""How alike the answers of two models are: the nearest ten by one, and by the other."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.schemas import Metric
from ragstore.database import Reading, TenantDatabase
from ragstore.embedding.codes import encode_one
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.reembedding import queries
from ragstore.reembedding.schemas import Overlap
from ragstore.search.queries import read_vectors, sample_passages

TOP_K = 10
SAMPLES = 50
MOST_EXACT = 50_000  # passages: of more, full vectors are read of those whose codes are near
DEPTH = 1000
Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Probe:
    """A question as each model sees it. A stored passage is left out of its own answers."""

    vectors: Mapping[int, Vector]
    chunk_id: uuid.UUID | None = None


@dataclass(frozen=True)
class Comparison:
    """Of the models with these numbers and names."""

    database: TenantDatabase
    collection_id: uuid.UUID
    metric: Metric
    chunks: int
    models: Mapping[int, str]

    async def measure(self, embedders: EmbedderRegistry, questions: Sequence[str]) -> Overlap | None:
        """By the questions, or else by stored passages. None when there is nothing to find."""
        probes = await self._ask_models(embedders, questions) if questions else await self._take_passages()
        shares = [share for probe in probes if (share := await self._compare(probe)) is not None]
        if not shares:
            return None
        return Overlap(len(shares), round(sum(shares) / len(shares), 4), round(min(shares), 4))

    async def _ask_models(self, embedders: EmbedderRegistry, questions: Sequence[str]) -> list[Probe]:
        return [
            Probe({model_id: await embedders.get(name).embed_query(text) for model_id, name in self.models.items()})
            for text in questions
        ]

    async def _take_passages(self) -> list[Probe]:
        first, second = self.models
        async with self.database.reading() as session:
            taken = dict(await sample_passages(session, self._scope(first), self.chunks, SAMPLES))
            rows = await read_vectors(session, self.database.tenant_id, second, list(taken))
        return [Probe({first: taken[row["chunk_id"]], second: row["vector"]}, row["chunk_id"]) for row in rows]

    async def _compare(self, probe: Probe) -> float | None:
        """In one snapshot, which is not held from one question to the next."""
        async with self.database.reading() as session:
            found = [set(await self._find(session, probe, model_id)) for model_id in self.models]
        return len(found[0] & found[1]) / len(found[0]) if found[0] else None

    async def _find(self, session: Reading, probe: Probe, model_id: int) -> list[uuid.UUID]:
        vector, by_codes = probe.vectors[model_id], self.chunks > MOST_EXACT
        given = {"vector": vector, "left_out": probe.chunk_id, "top_k": TOP_K, **self._scope(model_id)}
        if by_codes:
            norm = float(np.linalg.norm(vector))
            given |= {"code": encode_one(vector).tobytes(), "norm": norm, "depth": DEPTH}
        return await queries.find_nearest(session, self.metric, given, by_codes=by_codes)

    def _scope(self, model_id: int) -> dict[str, Any]:
        return {"tenant_id": self.database.tenant_id, "collection_id": self.collection_id, "model_id": model_id}
