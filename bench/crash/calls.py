"""HTTP as a careless client would do it: an answer, or none."""

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

COLLECTION = "stamped"
DOCUMENTS = f"/v1/collections/{COLLECTION}/documents"
PATIENCE = 30.0
NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """Of one thread. Kept open as long as it holds."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.headers = {"Authorization": f"Bearer {key}"}
        self.connection: http.client.HTTPConnection | None = None

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer | None:
        """None when there was no whole answer."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            kind = {"Content-Type": "application/json"} if body is not None else {}
            self.connection.request(method, path, body, {**self.headers, **kind, **(headers or {})})
            response = self.connection.getresponse()
            return Answer(response.status, response.read())
        except (OSError, http.client.HTTPException):
            self.close()
            return None

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def put(
        self, documents: Sequence[Mapping[str, Any]], retry_key: str | None = None, query: str = ""
    ) -> Answer | None:
        headers = {"Idempotency-Key": retry_key} if retry_key else None
        return self.call("POST", DOCUMENTS + query, json.dumps({"documents": documents}).encode(), headers)

    def load(self, documents: Sequence[Mapping[str, Any]]) -> Answer | None:
        lines = b"".join(json.dumps(one).encode() + b"\n" for one in documents)
        return self.call("POST", f"{DOCUMENTS}/import", lines, {"Content-Type": NDJSON})

    def delete(self, key: str, retry_key: str | None = None) -> Answer | None:
        headers = {"Idempotency-Key": retry_key} if retry_key else None
        return self.call("DELETE", f"{DOCUMENTS}?key={quote(key)}", None, headers)


def read_lines(body: bytes) -> list[dict[str, Any]]:
    """The whole lines of an NDJSON answer that may be cut off."""
    lines = body.split(b"\n")[:-1] if not body.endswith(b"\n") else body.split(b"\n")
    return [json.loads(line) for line in lines if line.strip()]
