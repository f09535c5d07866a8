"""What is asked of other stores' tables. Their names come from outside: SQLAlchemy quotes them."""

from dataclasses import dataclass, field, replace
from typing import Any

from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy import (
    REAL,
    ColumnElement,
    Select,
    String,
    TableClause,
    TextClause,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from ragstore.cli.movers.source import Vector

Rows = Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class PassageTable:
    """Where a foreign store keeps its passages. `fields` are columns whose values are metadata; `only` is the column
    and the value that tell the rows of one collection; `order` what rows are sorted by (empty: as they lie).
    """

    name: str
    key: str
    content: str
    vector: str
    schema: str | None = None
    metadata: str | None = None
    second_key: str | None = None
    fields: tuple[str, ...] = ()
    vector_type: str = "vector"
    only: tuple[str, Any] | None = None
    order: tuple[ColumnElement[Any], ...] = field(default=())

    @property
    def clause(self) -> TableClause:
        return table(self.name, schema=self.schema)

    @property
    def key_expression(self) -> ColumnElement[Any]:
        key = cast(column(self.key), String)
        return key if self.second_key is None else func.coalesce(cast(column(self.second_key), String), key)

    def keyed_by_row(self, fields: tuple[str, ...]) -> "PassageTable":
        """Without the second key, which is no key; the fields keep it."""
        return replace(self, second_key=None, fields=fields)

    def limit(self, statement: Rows) -> Rows:
        statement = statement.select_from(self.clause)
        return statement if self.only is None else statement.where(column(self.only[0]) == literal(self.only[1]))


def prepare_session() -> TextClause:
    """The server must not end us while posts are slow, and pgvector may live in a schema of its own."""
    return text(
        "SELECT set_config('idle_in_transaction_session_timeout', '0', true),"
        " set_config('statement_timeout', '0', true),"
        " set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''),"
        " (SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace"
        " WHERE extname = 'vector')), true)"
    )


def find_columns(name: str, schema: str) -> TextClause:
    """Name, type and whether it is the primary key; nothing when there is no such table."""
    return text(
        "SELECT a.attname, t.typname, coalesce(a.attnum = ANY (i.indkey), false) AS is_key"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " JOIN pg_type t ON t.oid = a.atttypid"
        " LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary"
        " WHERE n.nspname = :schema AND c.relname = :name AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY a.attnum"
    ).bindparams(name=name, schema=schema)


def find_vector_tables(schema: str) -> TextClause:
    """For telling what there is to move."""
    return text(
        "SELECT DISTINCT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE n.nspname = :schema AND c.relkind IN ('r', 'p') AND t.typname IN ('vector', 'halfvec') ORDER BY 1"
    ).bindparams(schema=schema)


def find_langchain_collections(schema: str) -> Rows:
    return select(column("uuid"), column("name")).select_from(table("langchain_pg_collection", schema=schema))


def count_passages(passages: PassageTable) -> Rows:
    return passages.limit(select(func.count()))


def count_repeated(passages: PassageTable, name: str) -> Rows:
    """How many rows have a value in the column that another row has too."""
    return passages.limit(select(func.count(column(name)) - func.count(column(name).distinct())))


def find_dimensions(passages: PassageTable) -> Rows:
    """Of the first vector there is."""
    width = func.array_length(as_numbers(passages), 1)
    return passages.limit(select(width)).where(column(passages.vector).is_not(None)).limit(1)


def select_passages(passages: PassageTable) -> Rows:
    """Key, content, metadata as JSON text, vector, other fields as JSON text."""
    metadata = literal_column("NULL") if passages.metadata is None else cast(column(passages.metadata), String)
    pairs: list[ColumnElement[Any]] = []
    for name in passages.fields:
        pairs += [literal(name, String), column(name)]
    fields = cast(func.jsonb_build_object(*pairs), String) if pairs else literal_column("NULL")
    chosen = select(
        passages.key_expression.label("key"),
        column(passages.content).label("content"),
        metadata.label("metadata"),
        as_numbers(passages).label("vector"),
        fields.label("fields"),
    )
    return passages.limit(chosen).order_by(*passages.order)


def as_numbers(passages: PassageTable) -> ColumnElement[Any]:
    return cast(column(passages.vector), ARRAY(REAL))


def find_nearest(passages: PassageTable, vector: Vector, top_k: int) -> Rows:
    """By the cosine, as these stores ask unless they are told otherwise."""
    numbers = literal("[" + ",".join(map(str, vector.tolist())) + "]", String)
    kind = HALFVEC if passages.vector_type == "halfvec" else VECTOR
    distance = column(passages.vector).op("<=>")(cast(numbers, kind()))
    nearest = passages.limit(select(passages.key_expression.label("key"))).order_by(distance)
    return nearest.where(column(passages.vector).is_not(None)).limit(top_k)


def order_by_document(metadata: str, node: str, row: str) -> tuple[ColumnElement[Any], ...]:
    """LlamaIndex's nodes of one document one after the other, of a node that was added twice the newer last."""
    document = func.coalesce(column(metadata).op("->>")("ref_doc_id"), column(metadata).op("->>")("doc_id"))
    return (document, column(node), column(row))
