"""The calls about searching."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from ragstore.client.transport import Transport, collection_path
from ragstore.search.schemas import BatchResults, Fusion, Hit, Like, Mode, Part, Question, SearchResults

Answer = TypeVar("Answer")
MOST_QUERIES = 100  # of one request


class SearchOptions(TypedDict, total=False):
    """What `SearchRequest` says of them; the service's own choice where one is left out or None."""

    mode: Mode | None
    top_k: int
    filter: Mapping[str, Any] | None
    min_score: float | None
    group_by: Literal["document"] | None
    per_group: int
    diversity: float
    neighbors: int
    highlight: bool
    include: Sequence[Part]
    fusion: Fusion | None
    rerank: bool | None
    exact: bool
    explain: bool


class QuestionOptions(SearchOptions, total=False):
    """`vector` is numbers, or little-endian float32 as base64. `like` stands in place of a query."""

    vector: Sequence[float] | str | None
    like: Like | None


class SearchCalls:
    """All of them may be sent twice, so a busy service and a broken connection are tried again."""

    transport: Transport

    def search(self, collection: str, query: str | None = None, **options: Unpack[QuestionOptions]) -> SearchResults:
        """By text, by vector, by both, or by an example that is stored."""
        return self._ask(SearchResults, f"{collection_path(collection)}/search", {"query": query, **options})

    def search_across(
        self, collections: Sequence[str], query: str | None = None, **options: Unpack[QuestionOptions]
    ) -> SearchResults:
        """One ranked list of several collections; each hit names its `collection`."""
        return self._ask(SearchResults, "/v1/search", {"collections": list(collections), "query": query, **options})

    def search_batch(
        self, collection: str, queries: Sequence[str | Question], **options: Unpack[SearchOptions]
    ) -> list[SearchResults]:
        """In the order of `queries`, of which there may be any number: 100 go with each request."""
        path = f"{collection_path(collection)}/search"
        results: list[SearchResults] = []
        for first in range(0, len(queries), MOST_QUERIES):
            part = list(queries[first : first + MOST_QUERIES])
            results += self._ask(BatchResults, path, {"queries": part, **options}).results
        return results

    def walk_search(
        self, collection: str, query: str | None = None, **options: Unpack[QuestionOptions]
    ) -> Iterator[Hit]:
        """The best 1,000 and no more, fetched `top_k` at a time, in the order they had when the first were fetched."""
        path = f"{collection_path(collection)}/search"
        cursor: str | None = None
        while True:
            page = self._ask(SearchResults, path, {"query": query, **options, "paging": True, "cursor": cursor})
            yield from page.hits
            if not isinstance(page.next_cursor, str):
                return
            cursor = page.next_cursor

    def _ask(self, kind: type[Answer], path: str, wanted: Mapping[str, Any]) -> Answer:
        body = {name: value for name, value in wanted.items() if value is not None}
        if "vector" in body and not isinstance(body["vector"], str):
            body["vector"] = [float(number) for number in body["vector"]]  # an array of numpy is no JSON
        return self.transport.call(kind, "POST", path, body=body, repeatable=True)
