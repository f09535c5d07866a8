"""Requests and their retries."""

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from ragstore.client.faults import RagstoreClientError, describe_transport, read_problem

Answer = TypeVar("Answer")

BUSY = (429, 503)
FIRST_WAIT = 0.2
LONGEST_WAIT = 30.0
STREAM_SECONDS = 300.0  # without a byte: longer than the service itself waits for what it needs


@dataclass(frozen=True)
class Transport:
    """Threads may share one."""

    url: str
    http: httpx.Client
    retries: int

    def call(
        self,
        kind: type[Answer],
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, Any] | None = None,
        repeatable: bool | None = None,
    ) -> Answer:
        """The decoded answer. What is `repeatable` (None: GET is) is tried again when the service is busy or
        the connection breaks. Raises RagstoreClientError.
        """
        repeatable = method == "GET" if repeatable is None else repeatable
        return self._decode(kind, self._send(self._build(method, path, body, params), repeatable=repeatable))

    def upload(
        self,
        kind: type[Answer],
        path: str,
        files: Sequence[tuple[str, bytes]],
        fields: Mapping[str, str],
        params: Mapping[str, str],
    ) -> Answer:
        """Parts named `file`, and fields. Tried again: the same file under the same key changes nothing."""
        parts = [("file", (name, content, "application/octet-stream")) for name, content in files]
        request = self.http.build_request("POST", path, params=params, data=dict(fields), files=parts)
        return self._decode(kind, self._send(request, repeatable=True))

    def fetch(self, path: str) -> bytes:
        """What is no JSON."""
        return self._send(self.http.build_request("GET", path), repeatable=True).content

    def _send(self, request: httpx.Request, *, repeatable: bool) -> httpx.Response:
        response = self._send_patiently(request, self.retries if repeatable else 0)
        if response.is_error:
            raise read_problem(response)
        return response

    def _decode(self, kind: type[Answer], response: httpx.Response) -> Answer:
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.MsgspecError as error:
            raise RagstoreClientError(
                f"{self.url} did not answer like a ragstore ({error}); is the address right?",
                status=response.status_code,
            ) from error

    @contextmanager
    def stream(
        self, method: str, path: str, *, params: Mapping[str, Any], lines: Iterable[bytes] | None = None
    ) -> Iterator[Iterator[bytes]]:
        """The pieces of an answer of any length, to a body of any length. Raises RagstoreClientError."""
        given = {name: value for name, value in params.items() if value is not None}
        headers = {"Content-Type": "application/x-ndjson"} if lines is not None else {}
        patience = httpx.Timeout(STREAM_SECONDS, connect=5)
        try:
            with self.http.stream(
                method, path, params=given, content=lines, headers=headers, timeout=patience
            ) as response:
                if response.is_error:
                    response.read()
                    raise read_problem(response)
                yield response.iter_bytes()
        except httpx.TransportError as error:
            raise describe_transport(self.url, error) from error

    def _build(self, method: str, path: str, body: object, params: Mapping[str, Any] | None) -> httpx.Request:
        given = {name: value for name, value in (params or {}).items() if value is not None}
        if body is None:
            return self.http.build_request(method, path, params=given)
        headers = {"Content-Type": "application/json"}
        return self.http.build_request(method, path, params=given, content=msgspec.json.encode(body), headers=headers)

    def _send_patiently(self, request: httpx.Request, retries: int) -> httpx.Response:
        for attempt in range(retries + 1):
            last = attempt == retries
            try:
                response = self.http.send(request)
            except httpx.TransportError as error:
                if last or not worth_repeating(error):
                    raise describe_transport(self.url, error) from error
                time.sleep(choose_wait(attempt, None))
                continue
            if last or response.status_code not in BUSY:
                return response
            time.sleep(choose_wait(attempt, response.headers.get("Retry-After")))
        raise AssertionError("the last attempt returns or raises")


def worth_repeating(error: httpx.TransportError) -> bool:
    """Not after waiting long for an answer: that would only add to the load."""
    return isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError | httpx.ConnectTimeout)


def choose_wait(attempt: int, retry_after: str | None) -> float:
    """Seconds; the service's own wish if it has one, and some chance so that clients do not return together."""
    chosen: float = FIRST_WAIT * 2**attempt
    if retry_after is not None and retry_after.isdigit():
        chosen = max(chosen, float(retry_after))
    return min(LONGEST_WAIT, chosen) * random.uniform(1, 1.25)  # noqa: S311 - not a secret


def collection_path(name: str) -> str:
    return f"/v1/collections/{quote(name, safe='')}"


def is_loopback(url: str) -> bool:
    """A proxy of the environment cannot reach this machine's own addresses."""
    host = httpx.URL(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
