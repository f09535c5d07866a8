"""The calls of the HTTP API that commands, scripts and tests need."""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from ragstore.client.chat import ChatCalls
from ragstore.client.faults import RagstoreClientError
from ragstore.client.files import FileCalls
from ragstore.client.jobs import JobCalls
from ragstore.client.operation import OperationCalls
from ragstore.client.paths import Filter, collection_path, to_json
from ragstore.client.reembedding import ReembeddingCalls
from ragstore.client.search import SearchCalls
from ragstore.client.streams import StreamCalls
from ragstore.client.transport import Transport, is_loopback
from ragstore.collection.schemas import (
    ChunkingUpdate,
    CollectionCreate,
    CollectionDeleted,
    CollectionRead,
    Language,
    Metric,
)
from ragstore.document.schemas import DocumentRead, DocumentsDeleted
from ragstore.index.schemas import IndexRead, IndexUpdate
from ragstore.index.schemas import Mode as IndexMode
from ragstore.ingestion.schemas import DocumentUpsert, UpsertResults
from ragstore.paging import Page

Item = TypeVar("Item")
CONFLICT, NOT_FOUND = 409, 404


class Client(ChatCalls, SearchCalls, JobCalls, FileCalls, OperationCalls, ReembeddingCalls, StreamCalls):
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
        self,
        name: str,
        *,
        embedding_model: str | None = None,
        language: Language = "english",
        chunking: ChunkingUpdate | None = None,
        metric: Metric = "cosine",
    ) -> CollectionRead:
        """The collection as it is, or a new one; all but `name` counts for a new one only."""
        try:
            return self.read_collection(name)
        except RagstoreClientError as error:
            if error.status != NOT_FOUND:
                raise
        try:
            return self.create_collection(
                CollectionCreate(
                    name,
                    embedding_model=embedding_model,
                    language=language,
                    chunking=chunking or ChunkingUpdate(),
                    metric=metric,
                )
            )
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

    def upsert_documents(
        self,
        collection: str,
        documents: Sequence[DocumentUpsert | dict[str, Any]],
        *,
        chunking: ChunkingUpdate | None = None,
        wait: bool | None = None,
    ) -> UpsertResults:
        """Each a DocumentUpsert or its JSON; `chunking` is for these. With `wait`, all is searchable when it answers;
        with False, `job` is about to store them (`wait_for_job`). With None the service decides: up to 100 documents
        and 1 MiB it waits. Repeated on a broken connection only if every document has a key.
        """
        return self.transport.call(
            UpsertResults,
            "POST",
            f"{collection_path(collection)}/documents",
            body={"documents": documents} | ({"chunking": chunking} if chunking else {}),
            params={"wait": None if wait is None else str(wait).lower()},
            repeatable=all(has_key(one) for one in documents),
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


def has_key(document: DocumentUpsert | dict[str, Any]) -> bool:
    return (document.get("key") if isinstance(document, dict) else document.key) is not None
