"""What is stored of a document's passages, for whoever is about to replace them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstore.database import AsyncSession
from ragstore.document.passages import queries


@dataclass(frozen=True)
class StoredPassage:
    """`digest` is of the text that was embedded, which ends with the content: so passages of the same digest and the
    same length have the same content.
    """

    document_id: uuid.UUID
    id: uuid.UUID
    ordinal: int
    start: int
    end: int
    metadata: dict[str, Any]
    digest: bytes


@dataclass(frozen=True)
class PassageService:
    session: AsyncSession
    tenant_id: uuid.UUID
    model_id: int

    async def list(self, document_ids: Sequence[uuid.UUID]) -> list[StoredPassage]:
        """Those with a digest and a vector of the model, in their documents' order."""
        rows = await queries.find_stored(self.session, self.tenant_id, self.model_id, document_ids)
        return [StoredPassage(*row) for row in rows]

    async def read_vectors(self, chunk_ids: Sequence[uuid.UUID]) -> dict[bytes, NDArray[np.float32]]:
        """By digest."""
        return dict(await queries.find_vectors(self.session, self.tenant_id, self.model_id, chunk_ids))
