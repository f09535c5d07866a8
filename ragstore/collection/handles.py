"""Collections seen lately in this process. What is remembered may be stale: who uses it checks it in the statement."""

import uuid
from dataclasses import dataclass, field

from ragstore.collection.service import CollectionHandle

MOST_REMEMBERED = 10_000


@dataclass(frozen=True)
class CollectionHandles:
    remembered: dict[tuple[uuid.UUID, str], CollectionHandle] = field(default_factory=dict)

    def find(self, tenant_id: uuid.UUID, name: str) -> CollectionHandle | None:
        return self.remembered.get((tenant_id, name))

    def remember(self, tenant_id: uuid.UUID, handle: CollectionHandle) -> None:
        if len(self.remembered) >= MOST_REMEMBERED:
            self.remembered.clear()
        self.remembered[tenant_id, handle.name] = handle
