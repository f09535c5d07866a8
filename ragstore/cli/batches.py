"""Documents in posts of a size that is answered soon, so that the bar moves."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from ragstore.cli.items import Item

MOST_DOCUMENTS = 100
MOST_BYTES = 1_000_000


@dataclass
class Batch:
    items: list[Item] = field(default_factory=list)
    posted_bytes: int = 0

    @property
    def size(self) -> int:
        """Bytes of the files it came from."""
        return sum(one.size for one in self.items)

    def has_room(self, size: int, most_documents: int) -> bool:
        return len(self.items) < most_documents and self.posted_bytes + size <= MOST_BYTES


def make_batches(items: Iterable[Item], most_documents: int = MOST_DOCUMENTS) -> Iterator[Batch]:
    """Items without a document go along: their failure is counted when their turn comes. A file to send goes alone."""
    batch = Batch()
    for item in items:
        size = len(msgspec.json.encode(item.document)) + 1 if item.document is not None else 0
        if batch.items and (item.upload is not None or not batch.has_room(size, most_documents)):
            yield batch
            batch = Batch()
        if item.upload is not None:
            yield Batch([item])
            continue
        batch.items.append(item)
        batch.posted_bytes += size
    if batch.items:
        yield batch
