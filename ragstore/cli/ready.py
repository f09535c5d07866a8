"""Documents whose vectors are ready: rows of a `.npy` beside lines of texts, or rows of a Parquet file."""

from collections.abc import Iterator
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ragstore.cli.finding import Found
from ragstore.cli.items import Item, Tables
from ragstore.cli.records import read_line
from ragstore.cli.vectors import MOST_NUMBERS, encode_vector
from ragstore.errors import ConfigurationError

ROWS_A_BATCH = 256


def read_vectors(file: Found, tables: Tables) -> Iterator[Item]:
    """Raises ConfigurationError before the first row when the two do not belong together."""
    if tables.texts is None:
        raise ConfigurationError(f"{file.path} has vectors only: name the file with their texts with --texts.")
    rows = open_rows(file.path)
    lines = count_lines(tables.texts)
    if lines != len(rows):
        raise ConfigurationError(f"{file.path} has {len(rows):,} rows and {tables.texts} {lines:,} lines.")
    share = file.size // max(len(rows), 1)
    with tables.texts.open("rb") as texts:
        for number, (row, line) in enumerate(zip_longest(rows, texts), start=1):
            item = read_line(f"{tables.texts.as_posix()}:{number}", line, tables.texts.name, share)
            yield item if item.fault is not None else add_vector(item, f"{file.path}: row {number}", row)


def open_rows(path: Path) -> NDArray[Any]:
    """Mapped, not read: there may be more of it than memory."""
    try:
        rows: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise ConfigurationError(f"{path} is no array of numpy's: {error}") from None
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.floating) or not 1 <= rows.shape[1] <= MOST_NUMBERS:
        wanted = f"rows of 1 to {MOST_NUMBERS:,} floating-point numbers"
        raise ConfigurationError(f"{path} has the shape {rows.shape} of {rows.dtype}; {wanted} are taken.")
    return rows


def count_lines(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(1 for _ in file)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None


def read_table(file: Found, tables: Tables) -> Iterator[Item]:
    """Columns that are none of the three are metadata."""
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigurationError("To read Parquet its package is needed: pip install pyarrow") from None
    try:
        table = parquet.ParquetFile(file.path)
    except ValueError as error:  # what pyarrow raises for a file that is none
        raise ConfigurationError(f"{file.path} is no Parquet file: {' '.join(str(error).split())}") from None
    names = list(table.schema_arrow.names)
    for wanted, option in ((tables.text_column, "text"), (tables.key_column, "key"), (tables.vector_column, "vector")):
        if wanted is not None and wanted not in names:
            there = f"It has: {', '.join(names)}."
            raise ConfigurationError(f"{file.path} has no column {wanted!r}: name it with --{option}-column. {there}")
    share, number = file.size // max(table.metadata.num_rows, 1), 0
    for batch in table.iter_batches(batch_size=ROWS_A_BATCH):
        for row in batch.to_pylist():
            number += 1
            yield read_row(f"{file.path.as_posix()}: row {number}", row, file, tables, share)


def read_row(name: str, row: dict[str, Any], file: Found, tables: Tables, size: int) -> Item:
    content, key = row.pop(tables.text_column), row.pop(tables.key_column)
    vector = None if tables.vector_column is None else row.pop(tables.vector_column)
    if not isinstance(content, str):
        return Item(name, size, fault=f"{tables.text_column} is no text")
    if not isinstance(key, str | int) or isinstance(key, bool) or key == "":
        return Item(name, size, fault=f"{tables.key_column} is no key")
    try:
        metadata = msgspec.to_builtins({field: value for field, value in row.items() if value is not None})
    except (TypeError, msgspec.MsgspecError) as error:
        return Item(name, size, fault=f"has a value that is no JSON: {error}")
    texts = {field: metadata.pop(field) for field in ("title", "source", "url") if isinstance(metadata.get(field), str)}
    document = {"key": str(key), "content": content, "source": file.path.name} | texts | {"metadata": metadata}
    item = Item(name, size, document)
    return item if tables.vector_column is None else add_vector(item, name, vector)


def add_vector(item: Item, name: str, given: Any) -> Item:
    fault, vector = check_vector(given)
    if fault is not None:
        return Item(name, item.size, fault=fault)
    document: dict[str, Any] = msgspec.to_builtins(item.document)
    return Item(item.name, item.size, document | {"vector": encode_vector(vector)})


def check_vector(given: Any) -> tuple[str | None, NDArray[np.float32]]:
    nothing = np.zeros(0, np.float32)
    try:
        with np.errstate(over="ignore"):
            vector = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError):
        return "has a vector that is no list of numbers", nothing
    if vector.ndim != 1 or not 1 <= len(vector) <= MOST_NUMBERS:
        return f"has a vector of the shape {vector.shape}; 1 to {MOST_NUMBERS:,} numbers are taken", nothing
    if not np.isfinite(vector).all():
        return "has a vector with a number that is infinite or none", nothing
    return (None if vector.any() else "has a vector of zeros"), vector
