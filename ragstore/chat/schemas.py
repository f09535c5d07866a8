from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

Role = Literal["system", "user", "assistant", "tool"]
MOST_MESSAGES = 1000
WINDOW = 50


class SessionCreate(msgspec.Struct, forbid_unknown_fields=True):
    """The same `key` again answers the session that is there."""

    key: str | None = None
    title: str | None = None
    user_id: UUID | None = None
    metadata: dict[str, Any] = {}


class SessionUpdate(msgspec.Struct, forbid_unknown_fields=True):
    """Fields left out stay as they are; `metadata` is replaced whole."""

    title: str | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


class SessionRead(msgspec.Struct):
    id: UUID
    key: str | None
    title: str | None
    user_id: UUID | None
    metadata: dict[str, Any]
    message_count: int
    last_message_at: datetime
    created_at: datetime
    updated_at: datetime


class MessageCreate(msgspec.Struct, forbid_unknown_fields=True):
    role: Role
    content: str
    tokens_used: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    model: str | None = None
    metadata: dict[str, Any] = {}


class MessageAppend(msgspec.Struct, forbid_unknown_fields=True):
    """Either one message (`role`, `content`, …) or `messages`, which are stored together or not at all."""

    role: Role | None = None
    content: str | None = None
    tokens_used: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    model: str | None = None
    metadata: dict[str, Any] = {}
    messages: Annotated[list[MessageCreate], Meta(min_length=1, max_length=MOST_MESSAGES)] | None = None


class MessageAppendByKey(MessageAppend, kw_only=True, forbid_unknown_fields=True):
    """Makes the session if the key is new."""

    session_key: str


class MessageRead(msgspec.Struct):
    """`position` counts from 1 within its session, without gaps."""

    id: UUID
    session_id: UUID
    position: int
    role: str
    content: str
    tokens_used: int | None
    model: str | None
    metadata: dict[str, Any]
    created_at: datetime


class MessagesAppended(msgspec.Struct):
    """In the order sent."""

    messages: list[MessageRead]


class OpenAIMessage(msgspec.Struct):
    """What a chat completion takes."""

    role: str
    content: str
