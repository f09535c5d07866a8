"""Documents into a collection over HTTP, two posts at a time, counting what became of each."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from ragstore.cli.batches import MOST_DOCUMENTS, Batch, make_batches
from ragstore.cli.items import Item, Upload
from ragstore.client import Client, RagstoreClientError
from ragstore.collection.schemas import ChunkingUpdate, CollectionRead, Language, Metric
from ragstore.errors import ConfigurationError
from ragstore.ingestion.schemas import DocumentUpsert
from ragstore.job.schemas import JobRead

IN_FLIGHT = 2
LONGEST_FILE = 3600.0  # seconds
NOT_FOUND = 404
NO_FILES = (404, 405, 415)  # of a service that takes none, or not such a one
REFUSED = (400, 413, 422)  # of these documents, not of the next ones
INDEX = re.compile(r"documents\[(\d+)\]")
Failure = tuple[str, str]
Advance = Callable[[int, int], object]


@dataclass
class Outcome:
    """How many documents ended how, and each failure as (name, reason)."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    binary: int = 0

    @property
    def documents(self) -> int:
        return sum(self.counts.values())

    def fail(self, name: str, reason: str) -> None:
        self.counts["failed"] += 1
        self.failures.append((name, reason))


def open_collection(
    client: Client,
    name: str,
    *,
    model: str | None = None,
    language: Language | None = None,
    chunking: ChunkingUpdate | None = None,
    metric: Metric = "cosine",
) -> CollectionRead:
    """Made if it is not there. Raises ConfigurationError for one that is not as it was asked for; `metric` counts for
    a new one only.
    """
    found = client.ensure_collection(
        name, embedding_model=model, language=language or "english", chunking=chunking, metric=metric
    )
    check_chunking(found, chunking)
    for what, wanted, has in (("model", model, found.embedding_model), ("language", language, found.language)):
        if wanted is not None and wanted != has:
            how = f"change it with `ragstore reembed {name}`" if what == "model" else "which cannot be changed"
            raise ConfigurationError(f"The collection {name} has the {what} {has}: {how}.")
    return found


def find_collection(client: Client, name: str) -> CollectionRead | None:
    try:
        return client.read_collection(name)
    except RagstoreClientError as error:
        if error.status == NOT_FOUND:
            return None
        raise


def require_model(client: Client, name: str, model: str | None) -> CollectionRead | None:
    """The collection, if it is there. Raises ConfigurationError when nobody has said which model made the vectors that
    are to come: questions must be embedded by the same one.
    """
    found = find_collection(client, name)
    if found is None and model is None:
        raise ConfigurationError("Which model made these vectors? It embeds questions later: say it with --model NAME.")
    return found


def check_chunking(found: CollectionRead, wanted: ChunkingUpdate | None) -> None:
    for name in ChunkingUpdate.__struct_fields__ if wanted is not None else ():
        asked, has = getattr(wanted, name), getattr(found.chunking, name)
        if asked is not UNSET and asked != has:
            change = f"PATCH /v1/collections/{found.name} changes it"
            raise ConfigurationError(f"The collection {found.name} has the chunking {name} {has}; {change}.")


def load(
    client: Client,
    collection: str,
    items: Iterable[Item],
    outcome: Outcome,
    advance: Advance,
    *,
    post_documents: int = MOST_DOCUMENTS,
) -> None:
    """Calls `advance(bytes, documents)` after each post. Raises RagstoreClientError when going on is no use."""
    pending: dict[Future[list[tuple[Item, str, str]]], Batch] = {}

    def collect(done: Iterable[Future[list[tuple[Item, str, str]]]]) -> None:
        for future in done:
            batch = pending.pop(future)
            count(outcome, batch, future.result())
            advance(batch.size, len(batch.items))

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        try:
            for batch in make_batches(items, post_documents):
                if len(pending) > IN_FLIGHT:  # one more is ready to go
                    collect(wait(pending, return_when=FIRST_COMPLETED).done)
                pending[pool.submit(post, client, collection, batch)] = batch
            collect(wait(pending).done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def count(outcome: Outcome, batch: Batch, results: Iterable[tuple[Item, str, str]]) -> None:
    for item in batch.items:
        if item.binary:
            outcome.binary += 1
        elif item.fault is not None:
            outcome.fail(item.name, item.fault)
    for item, status, reason in results:
        if status == "failed":
            outcome.fail(item.name, reason)
        else:
            outcome.counts[status] += 1


def post(client: Client, collection: str, batch: Batch) -> list[tuple[Item, str, str]]:
    """Each item with its status and, if it failed, the reason."""
    if len(batch.items) == 1 and batch.items[0].upload is not None:
        return [send(client, collection, batch.items[0], batch.items[0].upload)]
    good = [(one, one.document) for one in batch.items if one.document is not None]
    if not good:
        return []
    documents: list[DocumentUpsert | dict[str, Any]] = [document for _, document in good]
    try:
        results = client.upsert_documents(collection, documents, wait=True).results
    except RagstoreClientError as error:
        if error.status not in REFUSED:
            raise
        reasons = {int(found[1]): one.message for one in error.errors if (found := INDEX.match(one.path))}
        return [(item, "failed", reasons.get(index, error.detail)) for index, (item, _) in enumerate(good)]
    return [
        (item, one.status, one.error.detail if one.error else "") for (item, _), one in zip(good, results, strict=True)
    ]


def send(client: Client, collection: str, item: Item, upload: Upload) -> tuple[Item, str, str]:
    """A file that cannot be read any more, or that the service does not take, fails alone."""
    try:
        result = client.upload_file(
            collection,
            upload.name,
            upload.read(),
            key=upload.key,
            source=upload.source,
            url=upload.url,
            wait=True,
        )
        if result.status == "accepted" and result.job is not None:
            return item, *read_outcome(client.wait_for_job(result.job, LONGEST_FILE))
    except OSError as error:
        return item, "failed", error.strerror or str(error)
    except RagstoreClientError as error:
        if error.status not in (*REFUSED, *NO_FILES):
            raise
        return item, "failed", error.detail
    return item, result.status, result.error.detail if result.error else ""


def read_outcome(job: JobRead) -> tuple[str, str]:
    """The status of the document that a job made of a file, and the reason if it failed."""
    if job.state == "succeeded":
        return str((job.result or {}).get("status", "updated")), ""
    return "failed", job.error.detail if job.error else f"was {job.state}"
