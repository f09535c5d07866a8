"""What the programs of this folder share: a service of their own, and figures printed the same way."""

import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ragstore.cli.child import run_child
from ragstore.client.location import ServiceAddress
from ragstore.embedded import start_embedded
from ragstore.settings import Settings


@dataclass(frozen=True)
class Bench:
    """A service on an embedded database of its own, and the address of that database."""

    address: ServiceAddress
    database_url: str
    data_dir: Path


@contextmanager
def run_bench(**values: Any) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="ragstore-bench-") as folder:
        data_dir = Path(folder) / "data"
        settings = Settings.model_validate({"data_dir": data_dir, "log_level": "warning"} | values)
        given = {f"RAGSTORE_{name.upper()}": str(value) for name, value in values.items()}
        with run_child(settings, given) as address, start_embedded(data_dir) as server:
            yield Bench(address, server.url, data_dir)


class Caller:
    """One kept-alive connection of the standard library: the least a client can cost."""

    def __init__(self, address: ServiceAddress) -> None:
        parts = urlsplit(address.url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        self.headers = {"Authorization": f"Bearer {address.api_key}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: object = None) -> Any:
        payload = None if body is None else json.dumps(body).encode()
        self.connection.request(method, path, payload, self.headers)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise SystemExit(f"{method} {path}: {response.status} {answer[:500].decode()}")
        return json.loads(answer) if answer else None


def read_corpus(folder: Path) -> list[dict[str, Any]]:
    with (folder / "corpus.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        {"key": row["_id"], "title": row.get("title") or None, "content": row["text"]} for row in rows if row["text"]
    ]


def read_queries(folder: Path, most: int) -> list[str]:
    with (folder / "queries.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines][:most]


def post_corpus(caller: Caller, collection: str, documents: Sequence[dict[str, Any]], size: int = 100) -> float:
    """Seconds."""
    started = time.perf_counter()
    for start in range(0, len(documents), size):
        body = {"documents": documents[start : start + size]}
        caller.call("POST", f"/v1/collections/{collection}/documents?wait=true", body)
    return time.perf_counter() - started


def describe(name: str, seconds: Sequence[float], baseline: Sequence[float] | None = None) -> str:
    ordered = sorted(seconds)
    p50, p95 = statistics.median(ordered) * 1000, ordered[int(0.95 * len(ordered))] * 1000
    ratio = f"  {p50 / (statistics.median(baseline) * 1000):5.2f} x" if baseline else ""
    return f"{name:<34} p50 {p50:7.2f} ms   p95 {p95:7.2f} ms{ratio}"
