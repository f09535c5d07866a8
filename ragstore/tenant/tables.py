import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from ragstore.columns import json_object, long_text, server_id, tenant_key, timestamp_now, timestamp_or_null


class Tenant(SQLModel, table=True):
    """Who shares nothing with anybody else: every other row belongs to one."""

    id: uuid.UUID = server_id()
    name: str = Field(sa_type=Text, unique=True)
    created_at: datetime = timestamp_now()


class AppUser(SQLModel, table=True):
    """A person, known by an e-mail address that is unique in any spelling of its letters' case."""

    __tablename__ = "app_user"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        Index("uq_app_user_email", "tenant_id", text("lower(email)"), unique=True),
    )

    tenant_id: uuid.UUID = tenant_key()
    id: uuid.UUID = server_id()
    email: str = long_text()
    name: str | None = Field(default=None, sa_type=Text)
    is_active: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    password_hash: str | None = Field(default=None, sa_type=Text)
    meta: dict[str, Any] = json_object()
    created_at: datetime = timestamp_now()
    updated_at: datetime = timestamp_now()


class ApiKey(SQLModel, table=True):
    """Read before the tenant is known, so no key of a tenant table points here and none from here."""

    __tablename__ = "api_key"
    __table_args__ = (Index("uq_api_key_prefix", "prefix", unique=True),)

    tenant_id: uuid.UUID = tenant_key()
    id: uuid.UUID = server_id()
    name: str = long_text()
    prefix: str = long_text(collation="C")
    digest: bytes = Field(sa_type=LargeBinary)
    scopes: list[str] = Field(sa_type=ARRAY(Text))
    expires_at: datetime | None = timestamp_or_null()
    revoked_at: datetime | None = timestamp_or_null()
    last_used_at: datetime | None = timestamp_or_null()
    created_at: datetime = timestamp_now()
