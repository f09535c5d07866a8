"""What every store that can be moved here answers."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ragstore.cli.vectors import MOST_NUMBERS
from ragstore.collection.schemas import Metric

Vector = NDArray[np.float32]

# The JSON of a DocumentUpsert, but that each `vector` is still an array.
Document = dict[str, Any]


@dataclass(frozen=True)
class Description:
    """`dimensions` is None where the store gives no vectors away."""

    store: str
    name: str
    passages: int
    dimensions: int | None
    metric: Metric = "cosine"

    @property
    def vectors_fit(self) -> bool:
        return self.dimensions is not None and self.dimensions <= MOST_NUMBERS


class Source(Protocol):
    """Raises ConfigurationError for what a person can mend: a wrong name, a package that is missing.

    `passage_field` is the metadata that names a passage where a document has several (None: its document's key does).
    `remarks` counts, while `documents` runs, what was not taken as it was.
    """

    remarks: Counter[str]
    passage_field: str | None

    def describe(self) -> Description: ...

    def count(self) -> int: ...

    def documents(self) -> Iterator[Document]:
        """All of them, with the store's ids as keys; only a few are in memory at a time."""
        ...

    def search(self, asked: Vector | str, top_k: int) -> list[str]:
        """The ids of the nearest, best first, as the store itself finds them."""
        ...

    def close(self) -> None: ...


def find_origin(metadata: dict[str, Any]) -> dict[str, str]:
    """Title, source and url where the metadata has them under the names that loaders use. They stay in it too."""
    names = {"title": ("title",), "source": ("source", "file_path", "file_name"), "url": ("url",)}
    found = {
        field: next((metadata[name] for name in usual if isinstance(metadata.get(name), str) and metadata[name]), None)
        for field, usual in names.items()
    }
    return {field: value for field, value in found.items() if value is not None}
