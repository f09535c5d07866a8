import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    REAL,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlmodel import Field, SQLModel

import ragstore.file.tables  # noqa: F401  # a foreign key names its table
from ragstore.columns import (
    Code,
    SparseVector,
    Vector,
    json_object,
    long_text,
    server_id,
    tenant_key,
    timestamp_now,
)
from ragstore.embedding.provider import DIMENSIONS


class Document(SQLModel, table=True):
    """`content_digest` decides whether to embed again, `record_digest` whether anything changed at all."""

    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "collection_id"], ["collection.tenant_id", "collection.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["tenant_id", "file_id"], ["file.tenant_id", "file.id"]),
        UniqueConstraint("tenant_id", "collection_id", "key", name="uq_document_key"),
        Index("ix_document_collection", "tenant_id", "collection_id", "id"),
        Index("ix_document_file", "tenant_id", "file_id"),
        Index("ix_document_created", "tenant_id", "collection_id", "created_at"),
    )

    tenant_id: uuid.UUID = tenant_key()
    id: uuid.UUID = server_id()
    collection_id: uuid.UUID
    key: str = long_text(collation="C")
    title: str | None = Field(default=None, sa_type=Text)
    source: str | None = Field(default=None, sa_type=Text)
    url: str | None = Field(default=None, sa_type=Text)
    content: str = long_text()
    content_digest: bytes = Field(sa_type=LargeBinary)
    record_digest: bytes = Field(sa_type=LargeBinary)
    meta: dict[str, Any] = json_object()
    version: int = 1
    chunk_count: int = 0
    file_id: uuid.UUID | None = None
    created_at: datetime = timestamp_now()
    updated_at: datetime = timestamp_now()


class AcceptedKey(SQLModel, table=True):
    """A document that `job_id` has accepted to store and has not stored yet. Nothing newer has become of its key."""

    __tablename__ = "accepted_key"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "collection_id"], ["collection.tenant_id", "collection.id"], ondelete="CASCADE"
        ),
    )

    tenant_id: uuid.UUID = tenant_key()
    collection_id: uuid.UUID = Field(primary_key=True)
    key: str = Field(primary_key=True, sa_type=Text(collation="C"))
    job_id: uuid.UUID


class MetadataEntry(SQLModel, table=True):
    """What a filter looks documents up by: their source and top-level metadata, as `entries.py` encodes them."""

    __tablename__ = "metadata_entry"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "document_id"], ["document.tenant_id", "document.id"], ondelete="CASCADE"),
        Index("ix_metadata_entry", "tenant_id", "collection_id", "entry", "document_id"),
        {
            # Read by index-only scans, like the codes below.
            "postgresql_with": {
                "autovacuum_vacuum_insert_scale_factor": 0.02,
                "autovacuum_vacuum_insert_threshold": 5000,
                "autovacuum_vacuum_scale_factor": 0.02,
                "autovacuum_analyze_scale_factor": 0.02,
            }
        },
    )

    tenant_id: uuid.UUID = tenant_key()
    document_id: uuid.UUID = Field(primary_key=True)
    entry: bytes = Field(primary_key=True, sa_type=LargeBinary)
    collection_id: uuid.UUID


class Chunk(SQLModel, table=True):
    """A passage. Offsets are Unicode code points into the document's content, 0-based, end exclusive. `digest` is of
    the text that was embedded, and of the vector where it came ready: what has the same need not be embedded again.
    Null before ragstore kept it.
    """

    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "document_id"], ["document.tenant_id", "document.id"], ondelete="CASCADE"),
        UniqueConstraint("tenant_id", "document_id", "ordinal", name="uq_chunk_ordinal"),
    )

    tenant_id: uuid.UUID = tenant_key()
    id: uuid.UUID = server_id()
    collection_id: uuid.UUID
    document_id: uuid.UUID
    ordinal: int
    content: str = long_text()
    start_offset: int
    end_offset: int
    token_count: int
    meta: dict[str, Any] = json_object()
    digest: bytes | None = Field(default=None, sa_type=LargeBinary)


class Embedding(SQLModel, table=True):
    """One row per chunk and model. The covering index on codes is what an unindexed search scans."""

    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "chunk_id"], ["chunk.tenant_id", "chunk.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["tenant_id", "model_id"], ["embedding_model.tenant_id", "embedding_model.id"]),
        Index(
            "ix_embedding_code",
            "tenant_id",
            "collection_id",
            "model_id",
            postgresql_include=["chunk_id", "document_id", "norm", "code"],
        ),
        Index("ix_embedding_document", "tenant_id", "document_id"),
        {
            # An index-only scan is index-only where vacuum has been: go there after every 5,000 new rows.
            "postgresql_with": {
                "autovacuum_vacuum_insert_scale_factor": 0.02,
                "autovacuum_vacuum_insert_threshold": 5000,
                "autovacuum_vacuum_scale_factor": 0.02,
            }
        },
    )

    tenant_id: uuid.UUID = tenant_key()
    chunk_id: uuid.UUID = Field(primary_key=True)
    model_id: int = Field(primary_key=True, sa_type=SmallInteger)
    collection_id: uuid.UUID
    document_id: uuid.UUID
    norm: float = Field(default=1, sa_type=REAL, sa_column_kwargs={"server_default": text("1")})
    vector: Any = Field(sa_column=Column(Vector(DIMENSIONS), nullable=False))
    code: bytes = Field(sa_column=Column(Code(DIMENSIONS), nullable=False))


class PassageTerms(SQLModel, table=True):
    """A passage as the ranking by words sees it. `weights` are saturated term frequencies, `terms` has positions."""

    __tablename__ = "passage_terms"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "chunk_id"], ["chunk.tenant_id", "chunk.id"], ondelete="CASCADE"),
        Index(
            "ix_passage_terms_terms",
            "terms",
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": 1024},  # kB; a search reads the pending list from end to end
        ),
        {
            "postgresql_with": {
                "autovacuum_vacuum_insert_scale_factor": 0.05,
                "autovacuum_vacuum_scale_factor": 0.05,
            }
        },
    )

    tenant_id: uuid.UUID = tenant_key()
    chunk_id: uuid.UUID = Field(primary_key=True)
    collection_id: uuid.UUID
    document_id: uuid.UUID
    length: int
    saturation: float = Field(sa_type=REAL)
    weights: Any = Field(sa_column=Column(SparseVector(), nullable=False))
    terms: str = Field(sa_column=Column(TSVECTOR, nullable=False))


class TermCount(SQLModel, table=True):
    """In how many passages of a collection a term occurs, but for the changes that wait in `term_change`."""

    __tablename__ = "term_count"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "collection_id"], ["collection.tenant_id", "collection.id"], ondelete="CASCADE"
        ),
        {"postgresql_with": {"fillfactor": 80}},
    )

    tenant_id: uuid.UUID = tenant_key()
    collection_id: uuid.UUID = Field(primary_key=True)
    term: str = Field(primary_key=True, sa_type=Text(collation="C"))
    passages: int


class TermChange(SQLModel, table=True):
    """What one transaction changed in the counts: writers only add rows here, so none waits for another."""

    __tablename__ = "term_change"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "collection_id"], ["collection.tenant_id", "collection.id"], ondelete="CASCADE"
        ),
    )

    tenant_id: uuid.UUID = tenant_key()
    collection_id: uuid.UUID = Field(primary_key=True)
    id: uuid.UUID = server_id()
    terms: list[str] = Field(sa_type=ARRAY(Text))
    changes: list[int] = Field(sa_type=ARRAY(Integer))


class EmbeddingCache(SQLModel, table=True):
    """Vectors by model and text digest, so that nothing is paid for twice."""

    __tablename__ = "embedding_cache"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "model_id"], ["embedding_model.tenant_id", "embedding_model.id"], ondelete="CASCADE"
        ),
        Index("ix_embedding_cache_age", "tenant_id", "created_at"),
    )

    tenant_id: uuid.UUID = tenant_key()
    model_id: int = Field(primary_key=True, sa_type=SmallInteger)
    digest: bytes = Field(primary_key=True, sa_type=LargeBinary)
    vector: Any = Field(sa_column=Column(Vector(DIMENSIONS), nullable=False))
    created_at: datetime = timestamp_now()
