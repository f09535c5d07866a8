import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from ragstore.columns import (
    json_object,
    json_value,
    long_text,
    new_id,
    server_id,
    tenant_key,
    timestamp_now,
    timestamp_or_null,
)

ROLES = ("system", "user", "assistant", "tool")


class ChatSession(SQLModel, table=True):
    """`message_count` is also the last position: appending locks this row, so position order is commit order. With
    `idle_days` each message moves `expires_at`. Messages up to `summary_until` are told by `summary`.
    """

    __tablename__ = "chat_session"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["app_user.tenant_id", "app_user.id"], ondelete="SET NULL (user_id)"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "forked_from"],
            ["chat_session.tenant_id", "chat_session.id"],
            name="fk_chat_session_forked_from",
            ondelete="SET NULL (forked_from)",
        ),
        UniqueConstraint("tenant_id", "key", name="uq_chat_session_key"),
        CheckConstraint("idle_days > 0", name="idle_days"),
        Index("ix_chat_session_user", "tenant_id", "user_id", "last_message_at", "id"),
        Index("ix_chat_session_activity", "tenant_id", "last_message_at", "id"),
        Index("ix_chat_session_expiry", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
        Index(
            "ix_chat_session_forked_from", "tenant_id", "forked_from", postgresql_where=text("forked_from IS NOT NULL")
        ),
    )

    tenant_id: uuid.UUID = tenant_key()
    id: uuid.UUID = server_id()
    user_id: uuid.UUID | None = None
    key: str | None = Field(default=None, sa_type=Text(collation="C"))
    title: str | None = Field(default=None, sa_type=Text)
    meta: dict[str, Any] = json_object()
    message_count: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    expires_at: datetime | None = timestamp_or_null()
    idle_days: int | None = None
    archived_at: datetime | None = timestamp_or_null()
    forked_from: uuid.UUID | None = None
    forked_at: int | None = None
    summary: str | None = Field(default=None, sa_type=Text)
    summary_until: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    summary_model: str | None = Field(default=None, sa_type=Text)
    last_message_at: datetime = timestamp_now()
    created_at: datetime = timestamp_now()
    updated_at: datetime = timestamp_now()


class ChatMessage(SQLModel, table=True):
    """Positions run from 1 without a gap. A deleted one keeps its place, without what it said."""

    __tablename__ = "chat_message"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "session_id"], ["chat_session.tenant_id", "chat_session.id"], ondelete="CASCADE"
        ),
        UniqueConstraint("tenant_id", "id", name="uq_chat_message_id"),
        Index(
            "ix_chat_message_system",
            "tenant_id",
            "session_id",
            "position",
            postgresql_where=text("role = 'system'"),
        ),
        Index("ix_chat_message_time", "tenant_id", "session_id", "created_at", "id"),
        CheckConstraint(f"role IN {ROLES}", name="role"),
        CheckConstraint("position > 0", name="position"),
        CheckConstraint("state IN ('complete', 'incomplete')", name="state"),
    )

    tenant_id: uuid.UUID = tenant_key()
    session_id: uuid.UUID = Field(primary_key=True)
    position: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    id: uuid.UUID = Field(default_factory=new_id)
    role: str = long_text()
    content: str = long_text()
    parts: list[Any] | None = json_value()
    tool_calls: list[Any] | None = json_value()
    tool_call_id: str | None = Field(default=None, sa_type=Text)
    tokens_used: int | None = None
    model: str | None = Field(default=None, sa_type=Text)
    latency_ms: int | None = None
    citations: list[Any] | None = json_value()
    state: str = Field(default="complete", sa_type=Text, sa_column_kwargs={"server_default": text("'complete'")})
    meta: dict[str, Any] = json_object()
    # the clock, not the transaction's start: times follow positions
    created_at: datetime = Field(
        default=None,
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.clock_timestamp()},
    )
    edited_at: datetime | None = timestamp_or_null()
    deleted_at: datetime | None = timestamp_or_null()


class ChatRetrieval(SQLModel, table=True):
    """What an answer was made from: the passages as they were then, whatever becomes of their documents."""

    __tablename__ = "chat_retrieval"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "message_id"], ["chat_message.tenant_id", "chat_message.id"], ondelete="CASCADE"
        ),
    )

    tenant_id: uuid.UUID = tenant_key()
    message_id: uuid.UUID = Field(primary_key=True)
    question: str = long_text()
    query: str = long_text()
    collections: list[str] = Field(sa_type=ARRAY(Text))
    search: dict[str, Any] = Field(sa_type=JSONB)
    passages: list[Any] = Field(sa_type=JSONB)
    model: str = long_text()
    created_at: datetime = timestamp_now()
