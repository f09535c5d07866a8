import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, Index, Text, UniqueConstraint, func, text
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
    """`message_count` is also the last position: appending locks this row, so position order is commit order."""

    __tablename__ = "chat_session"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["app_user.tenant_id", "app_user.id"], ondelete="SET NULL (user_id)"
        ),
        UniqueConstraint("tenant_id", "key", name="uq_chat_session_key"),
        Index("ix_chat_session_user", "tenant_id", "user_id"),
        Index("ix_chat_session_activity", "tenant_id", "last_message_at", "id"),
        Index("ix_chat_session_expiry", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
    )

    tenant_id: uuid.UUID = tenant_key()
    id: uuid.UUID = server_id()
    user_id: uuid.UUID | None = None
    key: str | None = Field(default=None, sa_type=Text(collation="C"))
    title: str | None = Field(default=None, sa_type=Text)
    meta: dict[str, Any] = json_object()
    message_count: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    expires_at: datetime | None = timestamp_or_null()
    last_message_at: datetime = timestamp_now()
    created_at: datetime = timestamp_now()
    updated_at: datetime = timestamp_now()


class ChatMessage(SQLModel, table=True):
    """Positions run from 1 without a gap."""

    __tablename__ = "chat_message"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "session_id"], ["chat_session.tenant_id", "chat_session.id"], ondelete="CASCADE"
        ),
        UniqueConstraint("tenant_id", "id", name="uq_chat_message_id"),
        CheckConstraint(f"role IN {ROLES}", name="role"),
        CheckConstraint("position > 0", name="position"),
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
    citations: list[Any] | None = json_value()
    meta: dict[str, Any] = json_object()
    # the clock, not the transaction's start: times follow positions
    created_at: datetime = Field(
        default=None,
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.clock_timestamp()},
    )
