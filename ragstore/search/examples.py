"""More like this: a stored passage or document as the question."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.service import CollectionHandle
from ragstore.database import AnySession
from ragstore.errors import FieldError, NotFound, Unprocessable
from ragstore.lexical.analysis import get_analyzer
from ragstore.search import queries
from ragstore.search.questions import Asked
from ragstore.search.ranking import Unwanted

MOST_PASSAGES = 200  # of a long document, its beginning
MOST_WORDS = 200  # of which the telling ones are chosen when their counts are known


@dataclass(frozen=True)
class Example:
    """`vector` is the mean of the passages' vectors, `texts` are the passages."""

    model: str
    vector: NDArray[np.float32]
    texts: Sequence[str]
    unwanted: Unwanted

    def find_vector(self, handle: CollectionHandle) -> NDArray[np.float32]:
        """Raises Unprocessable for a collection of another model."""
        if handle.model != self.model:
            raise Unprocessable(
                f"The example has a vector of {self.model!r}, the collection {handle.name!r} of {handle.model!r}.",
                errors=(FieldError("like", "needs collections of one embedding model, or mode text"),),
            )
        return self.vector

    def count_terms(self, language: str) -> dict[str, float]:
        """The terms it repeats most, without stop words; a further occurrence counts less than the one before."""
        analyzer = get_analyzer(language)
        counted = Counter(term for text in self.texts for term in analyzer.terms(text))
        for term in analyzer.stop_terms:
            counted.pop(term, None)
        return {term: count / (count + 1.0) for term, count in counted.most_common(MOST_WORDS)}


async def read_example(
    session: AnySession, tenant_id: object, handles: Sequence[CollectionHandle], asked: Asked
) -> Example:
    """From the first of the collections that has it; a key may name a document in each, and none of them is wanted.
    Raises NotFound when none has such a passage or document.
    """
    found: list[tuple[CollectionHandle, Sequence[Any]]] = []
    which, wanted = next(
        (name, value)
        for name in ("chunk_id", "document_id", "document_key")
        if (value := getattr(asked.like, name)) is not None
    )
    for handle in handles:
        scope = {"tenant_id": tenant_id, "collection_id": handle.id, "model_id": handle.model_id}
        rows = await queries.read_examples(session, scope, which, wanted, MOST_PASSAGES)
        if rows:
            found.append((handle, rows))
    if found:
        handle, rows = found[0][0], list(found[0][1])
        vector = np.mean([row["vector"] for row in rows], axis=0).astype(np.float32)
        named = frozenset(rows[0][0 if which == "chunk_id" else 1] for _, rows in found)
        unwanted = Unwanted(chunk_ids=named) if which == "chunk_id" else Unwanted(document_ids=named)
        return Example(handle.model, vector, [row["content"] for row in rows], unwanted)
    path = f"{asked.path}.like" if asked.path else "like"
    raise NotFound(
        f"There is nothing with this {which} in {', '.join(repr(handle.name) for handle in handles)}.",
        errors=(FieldError(f"{path}.{which}", "is not there"),),
    )
