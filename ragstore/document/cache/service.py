"""Vectors that were paid for, by the digest of their text: what failed and is tried again is not paid for again."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragstore.database import AsyncSession
from ragstore.document.cache import queries


@dataclass(frozen=True)
class VectorCache:
    session: AsyncSession
    tenant_id: uuid.UUID
    model_id: int

    async def find(self, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        return dict(await queries.find_cached(self.session, self.tenant_id, self.model_id, digests))

    async def store(self, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        rows = [(self.tenant_id, self.model_id, digest, vector) for digest, vector in vectors.items()]
        await queries.insert_cached(self.session, rows)
