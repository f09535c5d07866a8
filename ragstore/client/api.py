"""The calls of the HTTP API that commands, scripts and tests need."""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from ragstore.client.chat import ChatCalls
from ragstore.client.faults import RagstoreClientError
from ragstore.client.operation import OperationCalls
from ragstore.client.paths import Filter, collection_path, to_json
from ragstore.client.reembedding import ReembeddingCalls
from ragstore.client.search import SearchCalls
from ragstore.client.transport import Transport, is_loopback
from ragstore.collection.schemas import CollectionCreate, CollectionDeleted, CollectionRead, Language
from ragstore.document.schemas import DocumentRead, DocumentsDeleted
from ragstore.index.schemas import IndexRead, IndexUpdate
from ragstore.index.schemas import Mode as IndexMode
from ragstore.ingestion.schemas import DocumentUpsert, UpsertResults
from ragstore.paging import Page

Item = TypeVar("Item")
CONFLICT, NOT_FOUND = 409, 404


class Client(ChatCalls, SearchCalls, OperationCalls, ReembeddingCalls):
    """Every call raises RagstoreClientError when the service refuses it or cannot be reached."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = 60,
        retries: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(timeout, connect=5),
            trust_env=not is_loopback(self.url),
            transport=transport,
        )
        self.transport = Transport(self.url, http, retries)

    def close(self) -> None:
        self.transport.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def health(self) -> str:
        """`ok` when the service and its database answer."""
        return self.transport.call(dict[str, str], "GET", "/health/ready")["status"]

    def create_collection(self, wanted: CollectionCreate) -> CollectionRead:
        return self.transport.call(CollectionRead, "POST", "/v1/collections", body=wanted)

    def ensure_collection(
        self, name: str, *, embedding_model: str | None = None, language: Language = "english"
    ) -> CollectionRead:
        """The collection as it is, or a new one; `embedding_model` and `language` count for a new one only."""
        try:
            return self.read_collection(name)
        except RagstoreClientError as error:
            if error.status != NOT_FOUND:
                raise
        try:
            return self.create_collection(CollectionCreate(name, embedding_model=embedding_model, language=language))
        except RagstoreClientError as error:
            if error.status != CONFLICT:
                raise
        return self.read_collection(name)  # somebody else has just made it

    def list_collections(self) -> Iterator[CollectionRead]:
        return self._walk(Page[CollectionRead], "/v1/collections", {})

    def read_collection(self, name: str) -> CollectionRead:
        return self.transport.call(CollectionRead, "GET", collection_path(name))

    def delete_collection(self, name: str) -> CollectionDeleted:
        return self.transport.call(CollectionDeleted, "DELETE", collection_path(name))

    def read_index(self, collection: str) -> IndexRead:
        return self.transport.call(IndexRead, "GET", f"{collection_path(collection)}/index")

    def set_index(self, collection: str, mode: IndexMode) -> IndexRead:
        """Answers at once; what the mode asks for happens in the background."""
        path = f"{collection_path(collection)}/index"
        return self.transport.call(IndexRead, "PUT", path, body=IndexUpdate(mode), repeatable=True)

    def upsert_documents(self, collection: str, documents: Sequence[DocumentUpsert]) -> UpsertResults:
        """Repeated on a broken connection only if every document has a key."""
        return self.transport.call(
            UpsertResults,
            "POST",
            f"{collection_path(collection)}/documents",
            body={"documents": documents},
            repeatable=all(one.key is not None for one in documents),
        )

    def list_documents(
        self, collection: str, *, key: str | None = None, filter: Filter | None = None
    ) -> Iterator[DocumentRead]:
        """All of them, fetched page by page."""
        params = {"key": key, "filter": to_json(filter)}
        return self._walk(Page[DocumentRead], f"{collection_path(collection)}/documents", params)

    def delete_documents(self, collection: str, *, key: str | None = None, filter: Filter | None = None) -> int:
        """The one with `key`, or all that match `filter`; answers how many there were."""
        params = {"key": key, "filter": to_json(filter)}
        path = f"{collection_path(collection)}/documents"
        return self.transport.call(DocumentsDeleted, "DELETE", path, params=params).deleted

    def _walk(self, kind: type[Page[Item]], path: str, params: Mapping[str, Any]) -> Iterator[Item]:
        cursor: str | None = None
        while True:
            page = self.transport.call(kind, "GET", path, params={**params, "cursor": cursor, "limit": 200})
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return
