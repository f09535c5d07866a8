"""LlamaIndex on Postgres: the nodes of one document come together again, in their order."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from ragstore.cli.movers.nodes import MOST_NODES, Node, merge_nodes, order_nodes, read_node
from ragstore.cli.movers.postgres import PostgresReader
from ragstore.cli.movers.queries import PassageTable, order_by_document
from ragstore.cli.movers.source import Document, find_origin
from ragstore.cli.movers.tables import PostgresSource, explain_absence, list_columns

PREFIX = "data_"  # which LlamaIndex puts before the name
COLUMNS = ("id", "text", "metadata_", "node_id", "embedding")


class LlamaIndexPg(PostgresSource):
    """`node_id` in a passage's metadata is its id there."""

    store = "llamaindex-pg"

    def __init__(self, reader: PostgresReader, name: str, passages: PassageTable) -> None:
        super().__init__(reader, name, passages)
        self.passage_field = "node_id"

    def documents(self) -> Iterator[Document]:
        for document, nodes in groupby(self.read_nodes(), key=lambda node: node.document):
            if document is None:
                yield from map(to_document, nodes)
            else:
                yield from self.gather(document, nodes)

    def gather(self, document: str, nodes: Iterator[Node]) -> Iterator[Document]:
        """One document if its nodes' order is known and they are not too many for a post, else one a node."""
        held: list[Node] = []
        for node in nodes:
            held.append(node)
            if len(held) > MOST_NODES:
                break
        ordered = order_nodes(held) if len(held) <= MOST_NODES else None
        if ordered is not None:
            yield merge_nodes(document, ordered)
            return
        why = f"of documents of more than {MOST_NODES} nodes" if len(held) > MOST_NODES else "whose order is not known"
        for node in held:
            self.remarks[f"nodes {why}: each is a document"] += 1
            yield to_document(node)
        for node in nodes:
            self.remarks[f"nodes {why}: each is a document"] += 1
            yield to_document(node)

    def read_nodes(self) -> Iterator[Node]:
        """Of a node that was added again the newest, as a store of ids would have it; nodes without text are left."""
        newest: Node | None = None
        for passage in self.read_passages():
            node = read_node(passage)
            if newest is not None and newest.id == node.id:
                self.remarks["older copies of a node: left out"] += 1
            elif newest is not None:
                yield from self.keep(newest)
            newest = node
        if newest is not None:
            yield from self.keep(newest)

    def keep(self, node: Node) -> Iterator[Node]:
        if node.content.strip():
            yield node
        else:
            self.remarks["nodes without text: left out"] += 1


def to_document(node: Node) -> Document:
    metadata: dict[str, Any] = node.metadata
    if node.document is not None:
        metadata = metadata | {"ref_doc_id": node.document}
    document: Document = {"key": node.id, "content": node.content, "metadata": metadata}
    if node.vector is not None:
        document["vector"] = node.vector
    return document | find_origin(metadata)


def open_llamaindex_pg(url: str, name: str, *, schema: str = "public") -> LlamaIndexPg:
    """`name` is the `table_name` given to LlamaIndex; its table is called `data_<name>`."""
    reader = PostgresReader(url)
    try:
        for table in (PREFIX + name.lower(), PREFIX + name, name):
            columns = list_columns(reader, table, schema)
            if all(one in columns for one in COLUMNS):
                kind = columns["embedding"].type
                order = order_by_document("metadata_", "node_id", "id")
                passages = PassageTable(
                    table, "node_id", "text", "embedding", schema, "metadata_", vector_type=kind, order=order
                )
                return LlamaIndexPg(reader, name, passages)
        raise explain_absence(reader, name, schema, [])
    except BaseException:
        reader.close()
        raise
