"""Requests and their retries."""

import random
import time
from collections.abc import Mapping
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
        response = self._send_patiently(self._build(method, path, body, params), self.retries if repeatable else 0)
        return self._read(kind, response)

    def upload(
        self,
        kind: type[Answer],
        path: str,
        *,
        fields: Mapping[str, str],
        files: Mapping[str, tuple[str, bytes, str]],
        params: Mapping[str, str],
    ) -> Answer:
        """A form with files. Sent again as a call that is repeatable: a file with a key replaces itself."""
        request = self.http.build_request("POST", path, data=dict(fields), files=dict(files), params=dict(params))
        return self._read(kind, self._send_patiently(request, self.retries))

    def _read(self, kind: type[Answer], response: httpx.Response) -> Answer:
        if response.is_error:
            raise read_problem(response)
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.MsgspecError as error:
            raise RagstoreClientError(
                f"{self.url} did not answer like a ragstore ({error}); is the address right?",
                status=response.status_code,
            ) from error

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
