"""LlamaIndex's nodes, and the documents they were cut from. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ragstore.cli.movers.source import Document, Vector, find_origin
from ragstore.cli.movers.tables import Passage

MOST_NODES = 500  # of a document: with vectors of 1,536 numbers a post of 4 MB
WIDEST_GAP = 8  # characters; cutting strips white space, more than that is text that is not there any more
INTERNAL = ("_node_content", "_node_type", "document_id", "doc_id", "ref_doc_id")
NEXT = "3"  # NodeRelationship.NEXT


@dataclass(frozen=True)
class Node:
    """`start` and `end` are code points of the document, where the node says so; `next` is the id of the node after."""

    id: str
    document: str | None
    content: str
    metadata: dict[str, Any]
    vector: Vector | None
    start: int | None = None
    end: int | None = None
    next: str | None = None


def read_node(passage: Passage) -> Node:
    inner = read_content(passage.metadata.get("_node_content"))
    named = (passage.metadata.get(name) for name in ("ref_doc_id", "doc_id"))
    document = next((name for name in named if isinstance(name, str) and name != "None"), None)
    start, end = inner.get("start_char_idx"), inner.get("end_char_idx")
    relations = inner.get("relationships")
    after = relations.get(NEXT) if isinstance(relations, dict) else None
    return Node(
        passage.key,
        document,
        passage.content,
        {name: value for name, value in passage.metadata.items() if name not in INTERNAL},
        passage.vector,
        start if isinstance(start, int) else None,
        end if isinstance(end, int) else None,
        after.get("node_id") if isinstance(after, dict) else None,
    )


def read_content(text: object) -> Mapping[str, Any]:
    try:
        inner = msgspec.json.decode(text) if isinstance(text, str) else {}
    except msgspec.DecodeError:
        return {}
    return inner if isinstance(inner, dict) else {}


def order_nodes(nodes: Sequence[Node]) -> list[Node] | None:
    """By where they begin, else by which comes after which; None where neither is told of all."""
    if len(nodes) == 1:
        return list(nodes)
    starts = [node.start for node in nodes]
    if None not in starts and len(set(starts)) == len(starts):
        return sorted(nodes, key=lambda node: node.start or 0)
    return follow(nodes)


def follow(nodes: Sequence[Node]) -> list[Node] | None:
    by_id = {node.id: node for node in nodes}
    followers = {node.next for node in nodes}
    firsts = [node for node in nodes if node.id not in followers]
    ordered: list[Node] = []
    node = firsts[0] if len(firsts) == 1 else None
    while node is not None and len(ordered) < len(nodes):
        ordered.append(node)
        node = by_id.get(node.next) if node.next is not None else None
    return ordered if len(ordered) == len(nodes) else None


def merge_nodes(document: str, nodes: Sequence[Node]) -> Document:
    """What all nodes' metadata agree on is the document's, the rest each passage's own."""
    shared = {
        name: value
        for name, value in nodes[0].metadata.items()
        if all(name in one.metadata and one.metadata[name] == value for one in nodes)
    }
    content, first = lay_out(nodes), nodes[0].start or 0
    chunks = []
    for node in nodes:
        own = {name: value for name, value in node.metadata.items() if name not in shared}
        chunk: dict[str, Any] = {"content": node.content, "metadata": own | {"node_id": node.id}}
        if content is not None and node.start is not None:
            chunk |= {"start": node.start - first, "end": node.start - first + len(node.content)}
        if node.vector is not None:
            chunk["vector"] = node.vector
        chunks.append(chunk)
    merged: Document = {"key": document, "metadata": shared, "chunks": chunks}
    return merged | ({} if content is None else {"content": content}) | find_origin(shared)


def lay_out(nodes: Sequence[Node]) -> str | None:
    """The text they were cut from, without what they share twice; None if they do not fit one another.

    What was stripped between two is put back as white space of that length.
    """
    text = ""
    first = nodes[0].start
    for node in nodes:
        if first is None or node.start is None or node.end is None or node.end - node.start != len(node.content):
            return None
        at = node.start - first
        gap = at - len(text)
        if gap > WIDEST_GAP:
            return None
        text += " " * gap if gap == 1 else "\n" * gap
        shared = text[at:]
        if not (node.content.startswith(shared) or shared.startswith(node.content)):
            return None
        text += node.content[len(shared) :]
    return text
