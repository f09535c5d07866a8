"""Something real to search that every Python brings along: its own language reference."""

from collections.abc import Iterator
from pydoc_data.topics import topics
from typing import Any, NamedTuple

from ragstore.cli.items import Item
from ragstore.ingestion.schemas import DocumentUpsert


class DemoSearch(NamedTuple):
    query: str
    filter: dict[str, Any] | None = None


SOURCE = "pydoc_data.topics"
SEARCHES = (
    DemoSearch("which values are false in a condition?"),
    DemoSearch("rebind a variable of the enclosing function scope", filter={"kind": "statement"}),
    DemoSearch('"context manager" -async'),
)
CHAT_QUESTION = "What does the with statement call on enter and exit?"


def read_topics() -> Iterator[Item]:
    for topic, content in topics.items():
        title = content.split("\n", 1)[0].replace('"', "")
        metadata = {"kind": "statement" if title.endswith(("statement", "statements")) else "topic"}
        yield Item(topic, len(content), DocumentUpsert(content, topic, title, SOURCE, metadata=metadata))


def measure_topics() -> int:
    return sum(len(content) for content in topics.values())
