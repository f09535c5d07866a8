"""Something real to search that every Python brings along: its own language reference."""

from collections.abc import Iterator
from pydoc_data.topics import topics

from ragstore.cli.reading import Item
from ragstore.ingestion.schemas import DocumentUpsert

SOURCE = "pydoc_data.topics"
QUESTIONS = (
    "what counts as false in a condition?",
    "rebind a variable of the enclosing function scope",
    "raise an exception from another one",
)
CHAT_QUESTION = "What does the with statement call on enter and exit?"


def read_topics() -> Iterator[Item]:
    for topic, content in topics.items():
        title = content.split("\n", 1)[0].replace('"', "")
        yield Item(topic, len(content), DocumentUpsert(content, topic, title, SOURCE))


def measure_topics() -> int:
    return sum(len(content) for content in topics.values())
