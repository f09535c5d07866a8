import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Index, LargeBinary, SmallInteger, Text
from sqlmodel import Field, SQLModel

from ragstore.columns import long_text, tenant_key, timestamp_now, timestamp_or_null


class IdempotencyRecord(SQLModel, table=True):
    """What a request with an `Idempotency-Key` was answered. No key of a tenant table points here and none from here.

    While it is `running` its claim is held until `lease_until`; `status` and `body` come with the effect's commit.
    """

    __tablename__ = "idempotency_record"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'done')", name="state"),
        Index("ix_idempotency_record_age", "created_at"),
    )

    tenant_id: uuid.UUID = tenant_key()
    api_key_id: uuid.UUID = Field(primary_key=True)
    key: str = Field(primary_key=True, sa_type=Text(collation="C"))
    fingerprint: bytes = Field(sa_type=LargeBinary)
    state: str = long_text()
    claim: uuid.UUID
    lease_until: datetime | None = timestamp_or_null()
    status: int | None = Field(default=None, sa_type=SmallInteger)
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
    created_at: datetime = timestamp_now()
