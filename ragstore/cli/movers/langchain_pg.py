"""LangChain on Postgres: the two tables of `PGVector`, of both its packages, and the table of a `PGVectorStore`."""

from collections.abc import Iterator

from ragstore.cli.movers import queries
from ragstore.cli.movers.postgres import PostgresReader
from ragstore.cli.movers.queries import PassageTable
from ragstore.cli.movers.source import Document, find_origin
from ragstore.cli.movers.tables import Column, PostgresSource, explain_absence, find_vector_column, list_columns
from ragstore.errors import ConfigurationError

COLLECTIONS, EMBEDDINGS = "langchain_pg_collection", "langchain_pg_embedding"
CONTENT, METADATA = "content", "langchain_metadata"
DERIVED = ("tsvector", "vector", "halfvec")  # made from the content: no metadata


class LangChainPg(PostgresSource):
    """A row is a document: its id the key, its metadata the metadata."""

    store = "langchain-pg"

    def documents(self) -> Iterator[Document]:
        for one in self.read_passages():
            document: Document = {"key": one.key, "content": one.content, "metadata": one.metadata}
            if one.vector is not None:
                document["vector"] = one.vector
            yield document | find_origin(one.metadata)


def open_langchain_pg(url: str, name: str, *, schema: str = "public", text_column: str = CONTENT) -> LangChainPg:
    """Looks for a collection of that name first, then for a table."""
    reader = PostgresReader(url)
    try:
        return find_collection(reader, name, schema, text_column)
    except BaseException:
        reader.close()
        raise


def find_collection(reader: PostgresReader, name: str, schema: str, text_column: str) -> LangChainPg:
    collections = {}
    if list_columns(reader, COLLECTIONS, schema):
        rows = reader.fetch(queries.find_langchain_collections(schema))
        collections = {row.name: row.uuid for row in rows if row.name is not None}
    if name in collections:
        return open_collection(reader, name, schema, collections[name])
    columns = list_columns(reader, name, schema)
    vector = find_vector_column(columns)
    if vector is None or name == EMBEDDINGS:
        raise explain_absence(reader, name, schema, sorted(collections))
    return LangChainPg(reader, name, read_layout(name, schema, columns, vector, text_column))


def open_collection(reader: PostgresReader, name: str, schema: str, collection_id: object) -> LangChainPg:
    """`langchain_postgres` has ids of its own; in `langchain_community` they are `custom_id`, which may repeat."""
    columns = list_columns(reader, EMBEDDINGS, schema)
    key = "id" if "id" in columns else "uuid"
    passages = PassageTable(
        EMBEDDINGS,
        key,
        "document",
        "embedding",
        schema=schema,
        metadata="cmetadata",
        second_key="custom_id" if "custom_id" in columns else None,
        vector_type=columns["embedding"].type,
        only=("collection_id", collection_id),
    )
    if passages.second_key is None:
        return LangChainPg(reader, name, passages)
    repeated = reader.fetch_one(queries.count_repeated(passages, passages.second_key))
    if repeated is None or not repeated[0]:
        return LangChainPg(reader, name, passages)
    source = LangChainPg(reader, name, passages.keyed_by_row(fields=("custom_id",)))
    source.remarks["passages share their custom_id with another: their keys are the rows' uuids"] += repeated[0]
    return source


def read_layout(name: str, schema: str, columns: dict[str, Column], vector: Column, text_column: str) -> PassageTable:
    """The columns that are none of the known ones are metadata, as LangChain reads them."""
    keys = [one.name for one in columns.values() if one.is_key]
    key = "langchain_id" if "langchain_id" in columns else keys[0] if len(keys) == 1 else None
    if key is None or text_column not in columns:
        wanted = "one column as primary key" if key is None else f"column {text_column!r}: name it with --text-column"
        raise ConfigurationError(f"The table {name} has no {wanted}. It has: {', '.join(columns)}.")
    known = (key, text_column, vector.name, METADATA)
    fields = tuple(one.name for one in columns.values() if one.name not in known and one.type not in DERIVED)
    metadata = METADATA if METADATA in columns else None
    return PassageTable(name, key, text_column, vector.name, schema, metadata, None, fields, vector.type)
