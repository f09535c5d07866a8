import httpx
import msgspec
import pytest

from ragstore.cli.batches import make_batches
from ragstore.cli.items import Item
from ragstore.cli.loading import Outcome, load
from ragstore.client import Client, RagstoreClientError
from ragstore.ingestion.schemas import DocumentUpsert


def make_item(number: int, content: str = "text") -> Item:
    return Item(f"file {number}", 10, DocumentUpsert(content, str(number)))


def test_posts_are_bounded_by_count_and_bytes() -> None:
    small = [len(batch.items) for batch in make_batches(make_item(number) for number in range(250))]
    assert small == [100, 100, 50]
    large = [len(batch.items) for batch in make_batches(make_item(number, "x" * 400_000) for number in range(5))]
    assert large == [2, 2, 1]
    assert [len(batch.items) for batch in make_batches([make_item(1, "x" * 3_000_000), make_item(2)])] == [1, 1]


def handle(request: httpx.Request) -> httpx.Response:
    documents = msgspec.json.decode(request.content)["documents"]
    if any(one["content"] == "refused" for one in documents):
        fault = {"path": "documents[0].content", "message": "must be text"}
        return httpx.Response(422, json={"detail": "documents[0].content must be text.", "errors": [fault]})
    if any(one["content"] == "forbidden" for one in documents):
        return httpx.Response(403, json={"detail": "This needs a key with the write scope."})
    bad = {"type": "t", "detail": "is bad", "errors": []}
    results = [
        {"key": one["key"], "id": None, "status": "failed" if one["content"] == "bad" else "created", "version": 1,
         "chunks": 1, "error": bad if one["content"] == "bad" else None}
        for one in documents
    ]  # fmt: skip
    return httpx.Response(200, json={"results": results, "job": None})


def run_load(*items: Item) -> tuple[Outcome, int]:
    outcome, seen = Outcome(), [0]

    def advance(size: int, documents: int) -> None:
        seen[0] += size

    with Client("http://service.test", "key", transport=httpx.MockTransport(handle)) as client:
        load(client, "books", items, outcome, advance)
    return outcome, seen[0]


def test_every_item_is_counted_once() -> None:
    items = [make_item(number, "bad" if number == 7 else "good") for number in range(350)]
    items += [Item("broken.md", 5, fault="is empty"), Item("picture.txt", 5, binary=True)]
    outcome, size = run_load(*items)
    assert outcome.counts == {"created": 349, "failed": 2}
    assert sorted(outcome.failures) == [("broken.md", "is empty"), ("file 7", "is bad")]
    assert (outcome.binary, size) == (1, 3510)


def test_a_refused_post_fails_its_documents_and_the_next_ones_are_sent() -> None:
    outcome, _ = run_load(*[make_item(number, "refused") for number in range(100)], make_item(100))
    assert outcome.counts == {"failed": 100, "created": 1}
    assert outcome.failures[0] == ("file 0", "must be text")


def test_a_refused_key_ends_the_load() -> None:
    with pytest.raises(RagstoreClientError, match="write scope"):
        run_load(*[make_item(number, "forbidden") for number in range(1000)])
