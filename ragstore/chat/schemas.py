"""What stands on the wire for sessions and their messages."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ragstore.tenant.schemas import UserRead

Role = Literal["system", "user", "assistant", "tool"]
State = Literal["complete", "incomplete"]
Include = Literal["messages", "user"]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
IdleDays = Annotated[int, Meta(ge=1, le=36_500)]
Content = str | Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=1000)]
ToolCalls = Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=128)]
MOST_MESSAGES = 1000
WINDOW = 50


class SessionCreate(msgspec.Struct, forbid_unknown_fields=True):
    """The same `key` again answers the session that is there. It is deleted at `expires_at`, or when it got no message
    for `idle_days`.
    """

    key: str | None = None
    title: str | None = None
    user_id: UUID | None = None
    metadata: dict[str, Any] = {}
    expires_at: datetime | None = None
    idle_days: IdleDays | None = None


class SessionUpdate(msgspec.Struct, forbid_unknown_fields=True):
    """Fields left out stay as they are; `metadata` is replaced whole. `expires_at` and `idle_days` replace each other;
    null keeps the session for ever.
    """

    title: str | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    user_id: UUID | UnsetType | None = UNSET
    archived: bool | UnsetType = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    idle_days: IdleDays | UnsetType | None = UNSET


class SessionFork(msgspec.Struct, forbid_unknown_fields=True):
    """A new session with the messages up to `position`, all of them without it; what is left out is as in the session
    it comes from.
    """

    position: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    key: str | None = None
    title: str | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


class MessageCreate(msgspec.Struct, forbid_unknown_fields=True):
    """`content` is text, or parts as a chat completion takes them; it may be missing beside `tool_calls`, which are as
    a chat completion gives them. A message of the role `tool` names the call that it answers.
    """

    role: Role
    content: Content | None = None
    tokens_used: Count | None = None
    model: str | None = None
    metadata: dict[str, Any] = {}
    tool_calls: ToolCalls | None = None
    tool_call_id: str | None = None
    latency_ms: Count | None = None
    citations: Annotated[list[dict[str, Any]], Meta(max_length=1000)] | None = None


class MessageAppend(msgspec.Struct, forbid_unknown_fields=True):
    """Either one message (`role`, `content`, …) or `messages`, which are stored together or not at all."""

    role: Role | None = None
    content: Content | None = None
    tokens_used: Count | None = None
    model: str | None = None
    metadata: dict[str, Any] = {}
    tool_calls: ToolCalls | None = None
    tool_call_id: str | None = None
    latency_ms: Count | None = None
    citations: Annotated[list[dict[str, Any]], Meta(max_length=1000)] | None = None
    messages: Annotated[list[MessageCreate], Meta(min_length=1, max_length=MOST_MESSAGES)] | None = None


class MessageAppendByKey(MessageAppend, kw_only=True, forbid_unknown_fields=True):
    """Makes the session if the key is new."""

    session_key: str


class MessageUpdate(msgspec.Struct, forbid_unknown_fields=True):
    """Fields left out stay as they are; `metadata` is replaced whole. A new `content` sets `edited_at`."""

    content: Content | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    citations: Annotated[list[dict[str, Any]], Meta(max_length=1000)] | UnsetType | None = UNSET


class MessageRead(msgspec.Struct):
    """`position` counts from 1 within its session, without gaps. `content` is the text of all parts; `parts` are there
    if it was sent as parts. A deleted message has `deleted_at` and says nothing any more.
    """

    id: UUID
    session_id: UUID
    position: int
    role: str
    content: str
    tokens_used: int | None
    model: str | None
    metadata: dict[str, Any]
    created_at: datetime
    parts: list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    latency_ms: int | None = None
    citations: list[dict[str, Any]] | None = None
    state: str = "complete"
    edited_at: datetime | None = None
    deleted_at: datetime | None = None


class SessionRead(msgspec.Struct):
    """`user` and `messages` (the newest 50, oldest first) are there if `include` names them."""

    id: UUID
    key: str | None
    title: str | None
    user_id: UUID | None
    metadata: dict[str, Any]
    message_count: int
    last_message_at: datetime
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = None
    expires_at: datetime | None = None
    idle_days: int | None = None
    forked_from: UUID | None = None
    forked_at: int | None = None
    user: UserRead | UnsetType | None = UNSET
    messages: list[MessageRead] | UnsetType = UNSET


class MessagePage(msgspec.Struct):
    """`next_cursor` goes on in the page's direction and is null on the last; `previous_cursor` turns round: after the
    newest messages it finds those that came since.
    """

    items: list[MessageRead]
    next_cursor: str | None = None
    previous_cursor: str | None = None


class MessagesAppended(msgspec.Struct):
    """In the order sent."""

    messages: list[MessageRead]


class OpenAIMessage(msgspec.Struct, omit_defaults=True):
    """What a chat completion takes."""

    role: str
    content: str | list[dict[str, Any]] | None
    tool_calls: list[dict[str, Any]] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET
