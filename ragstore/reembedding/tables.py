import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

import ragstore.collection.tables  # noqa: F401  # foreign keys name its tables
from ragstore.columns import json_value, long_text, tenant_key, timestamp_now, timestamp_or_null

MODEL = ["embedding_model.tenant_id", "embedding_model.id"]


class Reembedding(SQLModel, table=True):
    """A collection's change from one embedding model to another, from its start until only one model's vectors are
    left. `queries` are questions to compare both models by, `overlap` what came of it: there once all vectors are.
    """

    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "collection_id"], ["collection.tenant_id", "collection.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["tenant_id", "model_from"], MODEL, name="fk_reembedding_model_from"),
        ForeignKeyConstraint(["tenant_id", "model_to"], MODEL, name="fk_reembedding_model_to"),
        CheckConstraint("state IN ('filling', 'ready', 'switched', 'dropping')", name="state"),
        CheckConstraint("switch IN ('auto', 'manual')", name="switch"),
    )

    tenant_id: uuid.UUID = tenant_key()
    collection_id: uuid.UUID = Field(primary_key=True)
    model_from: int = Field(sa_type=SmallInteger)
    model_to: int = Field(sa_type=SmallInteger)
    state: str = long_text()
    switch: str = long_text()
    keep_old: bool
    queries: list[str] = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'[]'::jsonb")))
    overlap: dict[str, Any] | None = json_value()
    job_id: uuid.UUID | None = None
    started_at: datetime = timestamp_now()
    switched_at: datetime | None = timestamp_or_null()
