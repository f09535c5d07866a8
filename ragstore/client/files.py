"""The calls about files."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from ragstore.client.paths import collection_path
from ragstore.client.transport import Transport
from ragstore.collection.schemas import ChunkingUpdate
from ragstore.file.schemas import FileRead
from ragstore.ingestion.files.schemas import FileResult, FileResults


class FileCalls:
    transport: Transport

    def upload_file(
        self,
        collection: str,
        name: str,
        content: bytes,
        *,
        key: str | None = None,
        title: str | None = None,
        source: str | None = None,
        url: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        chunking: ChunkingUpdate | None = None,
        wait: bool | None = None,
    ) -> FileResult:
        """A document of a file; its key is `name` if no other is given. May be sent again: it then is `unchanged`."""
        fields = {"key": key, "title": title, "source": source, "url": url}
        given = {field: value for field, value in fields.items() if value is not None}
        for field, value in (("metadata", metadata), ("chunking", chunking)):
            if value is not None:
                given[field] = msgspec.json.encode(value).decode()
        return self._upload(collection, [(name, content)], given, wait)[0]

    def upload_files(
        self, collection: str, files: Sequence[tuple[str, bytes]], *, wait: bool | None = None
    ) -> list[FileResult]:
        """Names and contents, at most 100; names must differ."""
        return self._upload(collection, files, {}, wait)

    def _upload(
        self, collection: str, files: Sequence[tuple[str, bytes]], fields: Mapping[str, str], wait: bool | None
    ) -> list[FileResult]:
        path = f"{collection_path(collection)}/files"
        params = {} if wait is None else {"wait": "true" if wait else "false"}
        return self.transport.upload(FileResults, path, files, fields, params).results

    def read_file(self, file_id: UUID) -> FileRead:
        return self.transport.call(FileRead, "GET", f"/v1/files/{file_id}")

    def download_file(self, file_id: UUID) -> bytes:
        """As it was uploaded."""
        return self.transport.fetch(f"/v1/files/{file_id}/content")
