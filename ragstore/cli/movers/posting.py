"""The seam: documents from wherever they come, into a collection."""

from collections.abc import Iterable, Iterator

from ragstore.cli.items import Item
from ragstore.cli.loading import Advance, Outcome, load
from ragstore.cli.movers.source import Document
from ragstore.client import Client


def post_documents(
    client: Client, collection: str, documents: Iterable[Document], outcome: Outcome, advance: Advance
) -> None:
    """`advance(passages, documents)` is called as they are stored; what is refused is in `outcome` by its key."""
    load(client, collection, to_items(documents), outcome, advance)


def to_items(documents: Iterable[Document]) -> Iterator[Item]:
    for document in documents:
        yield Item(document["key"], len(document.get("chunks", ())) or 1, document)
