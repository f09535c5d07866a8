"""Foreign passages as Postgres gives them: what the sources on it share."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from ragstore.cli.movers import queries
from ragstore.cli.movers.postgres import PostgresReader
from ragstore.cli.movers.queries import PassageTable
from ragstore.cli.movers.source import Description, Vector
from ragstore.errors import ConfigurationError

VECTOR_TYPES = ("vector", "halfvec")


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    is_key: bool


@dataclass(frozen=True)
class Passage:
    key: str
    content: str
    metadata: dict[str, Any]
    vector: Vector | None


class PostgresSource:
    """The half of a `Source` that is the same for every table."""

    store = "postgres"

    def __init__(self, reader: PostgresReader, name: str, passages: PassageTable) -> None:
        self.reader = reader
        self.name = name
        self.passages = passages
        self.remarks: Counter[str] = Counter()
        self.passage_field: str | None = None

    def describe(self) -> Description:
        first = self.reader.fetch_one(queries.find_dimensions(self.passages))
        return Description(self.store, self.name, self.count(), None if first is None else first[0])

    def count(self) -> int:
        row = self.reader.fetch_one(queries.count_passages(self.passages))
        return 0 if row is None else int(row[0])

    def read_passages(self) -> Iterator[Passage]:
        for key, content, metadata, vector, fields in self.reader.stream(queries.select_passages(self.passages)):
            values = read_object(metadata) | read_object(fields)
            yield Passage(key, content or "", values, None if vector is None else np.array(vector, dtype=np.float32))

    def search(self, asked: Vector | str, top_k: int) -> list[str]:
        if isinstance(asked, str):
            raise ConfigurationError(f"{self.store} answers vectors only: its table embeds no text.")
        return [key for (key,) in self.reader.fetch(queries.find_nearest(self.passages, asked, top_k))]

    def close(self) -> None:
        self.reader.close()


def read_object(text: str | None) -> dict[str, Any]:
    """What is no JSON object, as some older rows have it, is kept under a name of its own."""
    if text is None or text == "null":
        return {}
    value = msgspec.json.decode(text)
    return value if isinstance(value, dict) else {"metadata": value}


def list_columns(reader: PostgresReader, name: str, schema: str) -> dict[str, Column]:
    rows = reader.fetch(queries.find_columns(name, schema))
    return {row.attname: Column(row.attname, row.typname, row.is_key) for row in rows}


def find_vector_column(columns: dict[str, Column]) -> Column | None:
    """`embedding` where there are several."""
    vectors = [one for one in columns.values() if one.type in VECTOR_TYPES]
    return next((one for one in vectors if one.name == "embedding"), vectors[0] if vectors else None)


def explain_absence(reader: PostgresReader, name: str, schema: str, others: list[str]) -> ConfigurationError:
    """Says what else there is."""
    tables = (row[0] for row in reader.fetch(queries.find_vector_tables(schema)))
    there = sorted({*others, *(name for name in tables if name != "langchain_pg_embedding")})
    listed = f"There are: {', '.join(there[:20])}." if there else "There is nothing with vectors in it."
    return ConfigurationError(f"The schema {schema} has no {name!r} to move. {listed}")
