"""What was asked lately: the vectors of real questions, for measuring how well such questions are answered."""

import random
import uuid
from collections import OrderedDict, deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.service import CollectionHandle

MOST_QUERIES = 256  # of a collection
MOST_KEPT = 32  # collections; each takes 1.6 MB at most
Key = tuple[uuid.UUID, uuid.UUID, int]


@dataclass(frozen=True)
class RecentQueries:
    """In the memory of this process and nowhere else. Vectors only: no text, and nothing about who asked."""

    kept: OrderedDict[Key, deque[NDArray[np.float32]]] = field(default_factory=OrderedDict)

    def note(self, tenant_id: uuid.UUID, handle: CollectionHandle, vector: NDArray[np.float32]) -> None:
        key = (tenant_id, handle.id, handle.model_id)
        self.kept.setdefault(key, deque(maxlen=MOST_QUERIES)).append(vector)
        self.kept.move_to_end(key)
        while len(self.kept) > MOST_KEPT:
            self.kept.popitem(last=False)

    def count(self, tenant_id: uuid.UUID, handle: CollectionHandle) -> int:
        return len(self.kept.get((tenant_id, handle.id, handle.model_id), ()))

    def choose(self, tenant_id: uuid.UUID, handle: CollectionHandle, size: int) -> list[NDArray[np.float32]]:
        """`size` of them by chance, in an order by chance; all when there are fewer."""
        kept = list(self.kept.get((tenant_id, handle.id, handle.model_id), ()))
        return random.sample(kept, min(size, len(kept)))
