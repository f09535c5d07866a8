"""Chroma: a folder it persisted, or a server."""

from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from ragstore.cli.movers.source import Description, Document, Vector, find_origin
from ragstore.collection.schemas import Metric
from ragstore.errors import ConfigurationError

DATABASE = "chroma.sqlite3"
RECORDS_A_PAGE = 300
METRICS: dict[str, Metric] = {"cosine": "cosine", "ip": "inner_product", "l2": "l2"}
PLAIN = (str, int, float, bool, type(None))


class Chroma:
    """A record is a document: its id the key, its metadata the metadata."""

    passage_field: str | None = None

    def __init__(self, collection: Any) -> None:
        self.collection = collection
        self.remarks: Counter[str] = Counter()

    def describe(self) -> Description:
        first = self.collection.get(limit=1, include=["embeddings"])["embeddings"]
        width = len(first[0]) if first is not None and len(first) else None
        return Description("chroma", self.collection.name, self.count(), width, read_metric(self.collection))

    def count(self) -> int:
        return int(self.collection.count())

    def documents(self) -> Iterator[Document]:
        offset = 0
        while True:
            wanted = ["documents", "metadatas", "embeddings"]
            page = self.collection.get(limit=RECORDS_A_PAGE, offset=offset, include=wanted)
            for number, key in enumerate(page["ids"]):
                yield self.to_document(key, *(read_part(page, part, number) for part in wanted))
            offset += len(page["ids"])
            if len(page["ids"]) < RECORDS_A_PAGE:
                return

    def to_document(self, key: str, content: str | None, given: dict[str, Any] | None, vector: Any) -> Document:
        metadata = {name: value for name, value in (given or {}).items() if is_plain(value)}
        if dropped := len(given or {}) - len(metadata):
            self.remarks["values of metadata that are no JSON: left out"] += dropped
        document: Document = {"key": key, "content": content or "", "metadata": metadata}
        if vector is not None:
            document["vector"] = np.asarray(vector, dtype=np.float32)
        return document | find_origin(metadata)

    def search(self, asked: Vector | str, top_k: int) -> list[str]:
        if isinstance(asked, str):
            raise ConfigurationError("chroma is asked by vectors only: the model it embeds texts with is not loaded.")
        found = self.collection.query(query_embeddings=[asked.tolist()], n_results=top_k, include=[])
        return list(found["ids"][0])

    def close(self) -> None:
        """Nothing is held."""


def read_part(page: dict[str, Any], part: str, number: int) -> Any:
    return None if page[part] is None else page[part][number]


def is_plain(value: object) -> bool:
    return isinstance(value, PLAIN) or (isinstance(value, list) and all(isinstance(one, PLAIN) for one in value))


def read_metric(collection: Any) -> Metric:
    """Chroma's own default is l2."""
    configuration = getattr(collection, "configuration_json", None) or {}
    places = [configuration.get("hnsw"), configuration.get("spann")]
    space = next((place["space"] for place in places if place and place.get("space")), None)
    return METRICS.get(space or (collection.metadata or {}).get("hnsw:space", "l2"), "l2")


def open_chroma(name: str, *, folder: Path | None = None, url: str | None = None) -> Chroma:
    """Never makes a folder or a collection."""
    if folder is not None and not (folder / DATABASE).is_file():
        raise ConfigurationError(f"{folder} is no folder of chroma's: there is no {DATABASE} in it.")
    try:
        chromadb = import_module("chromadb")
    except ImportError:
        raise ConfigurationError("To read chroma its own package is needed: pip install chromadb") from None
    settings = chromadb.Settings(anonymized_telemetry=False)
    try:
        if folder is not None:
            client = chromadb.PersistentClient(path=str(folder), settings=settings)
        else:
            client = chromadb.HttpClient(**read_address(url or ""), settings=settings)
        names = [one.name for one in client.list_collections()]
        if name in names:
            # its own model is not loaded: what it is asked are vectors
            return Chroma(client.get_collection(name, embedding_function=None))
    except (ValueError, OSError, chromadb.errors.ChromaError) as error:
        raise ConfigurationError(f"chroma cannot be read: {' '.join(str(error).split())}") from None
    there = f"There are: {', '.join(sorted(names)[:20])}." if names else "It has none."
    raise ConfigurationError(f"chroma has no collection {name!r}. {there}")


def read_address(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("The address of a chroma server is http://HOST:PORT")
    secure = parts.scheme == "https"
    return {"host": parts.hostname, "port": parts.port or (443 if secure else 8000), "ssl": secure}
