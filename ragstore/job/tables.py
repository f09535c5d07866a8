import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import BigInteger, Field, SQLModel

from ragstore.columns import json_value, long_text, server_id, tenant_key, timestamp_now, timestamp_or_null

STATES = ("queued", "running", "succeeded", "failed", "cancelled")
UNFINISHED = text("state IN ('queued', 'running') AND payload ? 'collection_id'")
WAITING = text("state = 'queued' AND dedupe_key IS NOT NULL")


class Job(SQLModel, table=True):
    """Durable work. Claimed across tenants, so no key of a tenant table points here and none from here.

    `started_at` is the last claim's time, `done_before` what was done by then; `stalled_at` is since when it waits for
    a provider or the database without having got on. `fence` grows whenever somebody else may work on the job: who
    holds an older one writes nothing any more.
    """

    __table_args__ = (
        CheckConstraint(f"state IN {STATES}", name="state"),
        Index("ix_job_due", "priority", "run_at", "id", postgresql_where=text("state = 'queued'")),
        Index("ix_job_lease", "lease_until", postgresql_where=text("state = 'running'")),
        Index("uq_job_waiting", "tenant_id", "kind", "dedupe_key", unique=True, postgresql_where=WAITING),
        Index(
            "ix_job_file", "tenant_id", text("(payload ->> 'file_id')"), postgresql_where=text("payload ? 'file_id'")
        ),
        Index("ix_job_collection", "tenant_id", text("(payload ->> 'collection_id')"), postgresql_where=UNFINISHED),
        Index("ix_job_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )

    tenant_id: uuid.UUID = tenant_key()
    id: uuid.UUID = server_id()
    kind: str = long_text()
    state: str = Field(default="queued", sa_type=Text)
    priority: int = Field(default=0, sa_type=SmallInteger)
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb")))
    counts: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb")))
    error: dict[str, Any] | None = json_value()
    attempts: int = 0
    max_attempts: int = 5
    fence: int = Field(default=0, sa_type=BigInteger)
    worker: str | None = Field(default=None, sa_type=Text)
    run_at: datetime = timestamp_now()
    lease_until: datetime | None = timestamp_or_null()
    created_at: datetime = timestamp_now()
    updated_at: datetime = timestamp_now()
    started_at: datetime | None = timestamp_or_null()
    done_before: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    stalled_at: datetime | None = timestamp_or_null()
    finished_at: datetime | None = timestamp_or_null()
    dedupe_key: str | None = Field(default=None, sa_type=Text)
    message: str | None = Field(default=None, sa_type=Text)
    result: dict[str, Any] | None = json_value()
