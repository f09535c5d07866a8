"""Tables as the packages of others make them: their DDL, taken from what the packages themselves left in a database."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.fake_openai import fake_vector

EXTENSION = "CREATE EXTENSION IF NOT EXISTS vector"

# langchain_postgres 0.0.19, class PGVector
LANGCHAIN_COLLECTION = (
    "CREATE TABLE langchain_pg_collection (uuid uuid PRIMARY KEY, name varchar NOT NULL UNIQUE, cmetadata json)"
)
LANGCHAIN_EMBEDDING = """
    CREATE TABLE langchain_pg_embedding (id varchar PRIMARY KEY,
        collection_id uuid REFERENCES langchain_pg_collection (uuid) ON DELETE CASCADE,
        embedding vector, document varchar, cmetadata jsonb)"""

# langchain_community 0.4.2, class PGVector with use_jsonb=False, as it was before there was langchain_postgres
COMMUNITY_COLLECTION = "CREATE TABLE langchain_pg_collection (uuid uuid PRIMARY KEY, name varchar, cmetadata json)"
COMMUNITY_EMBEDDING = """
    CREATE TABLE langchain_pg_embedding (uuid uuid PRIMARY KEY,
        collection_id uuid REFERENCES langchain_pg_collection (uuid) ON DELETE CASCADE,
        embedding vector, document varchar, cmetadata json, custom_id varchar)"""

# langchain_postgres 0.0.19, PGEngine.init_vectorstore_table with a metadata column and hybrid search
LANGCHAIN_TABLE = """
    CREATE TABLE "public"."new_docs" ("langchain_id" UUID PRIMARY KEY, "content" TEXT NOT NULL,
        "embedding" vector(8) NOT NULL, "content_tsv" TSVECTOR, "n" INTEGER, "langchain_metadata" JSON)"""

# llama-index-vector-stores-postgres 0.9.0
LLAMAINDEX_TABLE = """
    CREATE TABLE data_guides (id bigserial PRIMARY KEY, text varchar NOT NULL, metadata_ json, node_id varchar,
        embedding vector(8))"""
LLAMAINDEX_HALVES = """
    CREATE TABLE data_halves (id bigserial PRIMARY KEY, text varchar NOT NULL, metadata_ jsonb, node_id varchar,
        embedding halfvec(8), text_search_tsv tsvector)"""


def to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def make_vector(text: str, width: int = 8) -> NDArray[np.float32]:
    return fake_vector(text, width)


def write_vector(text: str, width: int = 8) -> str:
    """As SQL has it."""
    return "[" + ",".join(map(str, make_vector(text, width).tolist())) + "]"


def fill(url: str, *statements: str | tuple[str, Iterable[Sequence[Any]]]) -> None:
    """Runs each; a pair is an INSERT and its rows."""

    async def run() -> None:
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            for one in statements:
                if isinstance(one, str):
                    await connection.exec_driver_sql(one)
                else:
                    await connection.exec_driver_sql(one[0], [tuple(row) for row in one[1]])
        await engine.dispose()

    asyncio.run(run())
