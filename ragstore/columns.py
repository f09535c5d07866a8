"""Columns that many tables have, and the vector types. Rows are described once, in each package's `tables.py`."""

import struct
import uuid
from collections.abc import Sequence
from typing import Any

import asyncpg
import numpy as np
import uuid_utils.compat
from numpy.typing import NDArray
from pgvector.sqlalchemy import SPARSEVEC, VECTOR
from sqlalchemy import Column, DateTime, Text, func, text
from sqlalchemy.dialects.postgresql import BIT, JSONB
from sqlmodel import Field, SQLModel

VECTOR_HEADER = struct.Struct(">HH")  # dimensions, unused
BIT_HEADER = struct.Struct(">i")  # length in bits
SPARSE_HEADER = struct.Struct(">iii")  # dimensions, elements, unused
SPARSE_DIMENSIONS = 1_000_000_000  # the most pgvector knows; every sparse vector has as many

SQLModel.metadata.naming_convention = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(referred_table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
}


class Vector(VECTOR):
    """pgvector's `vector(n)`, carried in binary: numpy float32 in, numpy float32 out.

    The stock type goes through text: 25 times slower to write, 10 times to read. Needs `register_codecs`.
    """

    cache_ok = True

    def bind_processor(self, dialect: Any) -> Any:
        return None

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        return None


class Code(BIT):
    """`bit(1536)`, the binary code of a vector: 192 bytes in, 192 bytes out, first bit first."""

    cache_ok = True

    def bind_processor(self, dialect: Any) -> Any:
        return None

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        return None


class SparseVector(SPARSEVEC):
    """pgvector's `sparsevec`: (indices int32 from 0 and ascending, values float32) in; out as it comes, for
    `read_sparse`.
    """

    cache_ok = True

    def bind_processor(self, dialect: Any) -> Any:
        return None

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        return None


Sparse = tuple[NDArray[np.int32], NDArray[np.float32]]


def encode_sparse(vector: Sparse | bytes) -> bytes:
    """One that was read may be written as it came."""
    if isinstance(vector, bytes):
        return vector
    indices, values = vector
    header = SPARSE_HEADER.pack(SPARSE_DIMENSIONS, len(indices), 0)
    return header + indices.astype(">i4").tobytes() + values.astype(">f4").tobytes()


def read_sparse(wires: Sequence[bytes]) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.float32]]:
    """Of many, as they came: how many elements each has, and the indices and values of all, one after the other. One by
    one takes four times as long, and a search reads hundreds.
    """
    header = SPARSE_HEADER.size // 4
    numbers = np.frombuffer(b"".join(wires), ">i4")
    lengths = np.array([len(wire) // 4 for wire in wires], dtype=np.intp)
    sizes = (lengths - header) // 2
    firsts = np.cumsum(lengths) - lengths + header
    places = np.repeat(firsts - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))
    indices = numbers[places].astype(np.int32)
    values = numbers.view(">f4")[places + np.repeat(sizes, sizes)].astype(np.float32)
    return sizes, indices, values


def encode_vector(vector: NDArray[np.float32]) -> bytes:
    return VECTOR_HEADER.pack(vector.shape[0], 0) + vector.astype(">f4").tobytes()


def decode_vector(wire: bytes) -> NDArray[np.float32]:
    return np.frombuffer(wire, dtype=">f4", offset=VECTOR_HEADER.size).astype(np.float32)


def encode_code(code: bytes) -> bytes:
    return BIT_HEADER.pack(len(code) * 8) + code


def decode_code(wire: bytes) -> bytes:
    return bytes(wire[BIT_HEADER.size :])


async def register_codecs(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Teach one asyncpg connection the binary forms; a database without pgvector is left to the migrations."""
    await connection.set_type_codec(
        "bit", schema="pg_catalog", encoder=encode_code, decoder=decode_code, format="binary"
    )
    try:
        await connection.set_type_codec(
            "vector", schema="public", encoder=encode_vector, decoder=decode_vector, format="binary"
        )
        await connection.set_type_codec(
            "sparsevec", schema="public", encoder=encode_sparse, decoder=bytes, format="binary"
        )
    except ValueError as error:
        if "unknown type" not in str(error):
            raise


def new_id() -> uuid.UUID:
    """A UUIDv7: ids sort by the time they were made (to the millisecond, and within this process exactly)."""
    return uuid_utils.compat.uuid7()


def tenant_key() -> Any:
    """The first part of every key."""
    return Field(primary_key=True)


def server_id() -> Any:
    return Field(default_factory=new_id, primary_key=True)


def long_text(*, collation: str | None = None) -> Any:
    return Field(sa_type=Text(collation=collation))


def json_object() -> Any:
    """`metadata` is taken by SQLAlchemy, so the attribute is `meta` and the column `metadata`."""
    return Field(
        default_factory=dict,
        sa_column=Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    )


def json_value() -> Any:
    return Field(default=None, sa_type=JSONB)


def timestamp_now() -> Any:
    """Set by the database's clock when the row is written."""
    return Field(default=None, sa_type=DateTime(timezone=True), sa_column_kwargs={"server_default": func.now()})


def timestamp_or_null() -> Any:
    return Field(default=None, nullable=True, sa_type=DateTime(timezone=True))
