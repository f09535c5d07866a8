"""The read path: embed the question, scan the codes, re-rank exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.handles import CollectionHandles
from ragstore.collection.service import CollectionHandle, CollectionService
from ragstore.database import TenantDatabase
from ragstore.document.filters import Filter, parse_filter
from ragstore.embedding.codes import encode_one
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import FieldError, InvalidRequest
from ragstore.fields import check_text
from ragstore.search import queries
from ragstore.search.schemas import Hit, SearchRequest, SearchResults
from ragstore.search.vectors import read_vector

LONGEST_QUERY = 400_000
CANDIDATES_PER_HIT = 4


@dataclass(frozen=True)
class SearchService:
    """Raises NotFound for an unknown collection, InvalidRequest, InvalidFilter and InvalidVector for what is wrong
    with the request, and what the model provider raises.
    """

    database: TenantDatabase
    embedders: EmbedderRegistry
    candidates: int
    handles: CollectionHandles

    async def search(self, collection: str, wanted: SearchRequest) -> SearchResults:
        """A collection seen before costs no statement of its own: the search itself checks that it is unchanged, and
        an empty answer is only believed after a look.
        """
        check_request(wanted)
        condition = parse_filter(wanted.filter) if wanted.filter is not None else None
        remembered = self.handles.find(self.database.tenant_id, collection)
        if remembered is not None and (hits := await self._search(remembered, wanted, condition)):
            return SearchResults(hits)
        async with self.database.transaction() as session:
            handle = await CollectionService(session, self.database.tenant_id).open(collection)
        self.handles.remember(self.database.tenant_id, handle)
        if handle == remembered:
            return SearchResults([])
        return SearchResults(await self._search(handle, wanted, condition))

    async def _search(self, handle: CollectionHandle, wanted: SearchRequest, condition: Filter | None) -> list[Hit]:
        vector = await self._query_vector(handle, wanted)
        # Whether an index helps depends on the filter's values.
        async with self.database.transaction(plan="cached" if condition is None else "custom") as session:
            rows = await queries.find_nearest(
                session,
                self.database.tenant_id,
                handle,
                vector=vector,
                code=encode_one(vector).tobytes(),
                condition=condition,
                candidates=max(self.candidates, CANDIDATES_PER_HIT * wanted.top_k),
                top_k=wanted.top_k,
            )
        return [to_hit(row) for row in rows]

    async def _query_vector(self, handle: CollectionHandle, wanted: SearchRequest) -> NDArray[np.float32]:
        embedder = self.embedders.get(handle.model)
        if wanted.query is not None:
            return await embedder.embed_query(wanted.query)
        return read_vector(wanted.vector or [], embedder.dimensions)


def to_hit(row: Sequence[Any]) -> Hit:
    return Hit(*row)


def check_request(wanted: SearchRequest) -> None:
    if (wanted.query is None) == (wanted.vector is None):
        raise InvalidRequest(
            "Send either query or vector.", errors=(FieldError("query", "or vector must be there, and not both"),)
        )
    if wanted.query is not None:
        faults = list(check_text("query", wanted.query, longest=LONGEST_QUERY))
        if not wanted.query.strip():
            faults.append(FieldError("query", "must hold some text"))
        if faults:
            raise InvalidRequest(f"{faults[0].path} {faults[0].message}.", errors=tuple(faults))
