import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, SmallInteger, Text, UniqueConstraint, text
from sqlmodel import BigInteger, Field, SQLModel

from ragstore.columns import json_object, long_text, server_id, tenant_key, timestamp_now


class EmbeddingModel(SQLModel, table=True):
    """A model that a tenant's vectors were made with. The id is small because every code index entry carries it."""

    __tablename__ = "embedding_model"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        UniqueConstraint("tenant_id", "name", name="uq_embedding_model_name"),
    )

    tenant_id: uuid.UUID = tenant_key()
    id: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    name: str = long_text(collation="C")
    code_version: int = Field(sa_type=SmallInteger)
    created_at: datetime = timestamp_now()


class Collection(SQLModel, table=True):
    """A named set of documents: one embedding model, one rule for cutting passages, one language, and counts. While its
    model is changed, passages have vectors of a second one too: the next, or after the change the previous.
    """

    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["tenant_id", "model_id"], ["embedding_model.tenant_id", "embedding_model.id"]),
        ForeignKeyConstraint(
            ["tenant_id", "next_model_id"],
            ["embedding_model.tenant_id", "embedding_model.id"],
            name="fk_collection_next_model",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "previous_model_id"],
            ["embedding_model.tenant_id", "embedding_model.id"],
            name="fk_collection_previous_model",
        ),
        UniqueConstraint("tenant_id", "name", name="uq_collection_name"),
        CheckConstraint("chunk_overlap < chunk_size", name="chunk_overlap"),
        CheckConstraint("chunk_strategy IN ('tokens', 'markdown', 'sentences', 'none')", name="chunk_strategy"),
        CheckConstraint("chunk_prefix IN ('none', 'title', 'heading')", name="chunk_prefix"),
        CheckConstraint("metric IN ('cosine', 'inner_product', 'l2')", name="metric"),
        CheckConstraint("index_mode IN ('auto', 'on', 'off')", name="index_mode"),
        CheckConstraint(
            "(next_model_id IS NULL OR previous_model_id IS NULL)"
            " AND model_id IS DISTINCT FROM coalesce(next_model_id, previous_model_id)",
            name="second_model",
        ),
    )

    tenant_id: uuid.UUID = tenant_key()
    id: uuid.UUID = server_id()
    name: str = long_text(collation="C")
    title: str | None = Field(default=None, sa_type=Text)
    model_id: int = Field(sa_type=SmallInteger)
    chunk_size: int
    chunk_overlap: int
    chunk_strategy: str = Field(default="tokens", sa_type=Text, sa_column_kwargs={"server_default": text("'tokens'")})
    chunk_prefix: str = Field(default="title", sa_type=Text, sa_column_kwargs={"server_default": text("'title'")})
    language: str = long_text()
    metric: str = Field(default="cosine", sa_type=Text, sa_column_kwargs={"server_default": text("'cosine'")})
    meta: dict[str, Any] = json_object()
    document_count: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    chunk_count: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    term_total: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    created_at: datetime = timestamp_now()
    updated_at: datetime = timestamp_now()
    index_mode: str = Field(default="auto", sa_type=Text, sa_column_kwargs={"server_default": text("'auto'")})
    next_model_id: int | None = Field(default=None, sa_type=SmallInteger)
    previous_model_id: int | None = Field(default=None, sa_type=SmallInteger)

    @property
    def second_model_id(self) -> int | None:
        """Whose vectors are written beside those that searches use."""
        return self.next_model_id if self.next_model_id is not None else self.previous_model_id

    def keeps_vectors_of(self, model_id: int) -> bool:
        return model_id in (self.model_id, self.second_model_id)
