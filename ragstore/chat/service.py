import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta

from ragstore.chat import queries
from ragstore.chat.schemas import (
    MessageAppend,
    MessageCreate,
    MessageRead,
    MessagesAppended,
    SessionCreate,
    SessionRead,
    SessionUpdate,
)
from ragstore.chat.tables import ChatMessage, ChatSession
from ragstore.columns import new_id
from ragstore.database import AsyncSession
from ragstore.errors import FieldError, InvalidRequest, NotFound, Unprocessable
from ragstore.fields import check_key, check_metadata, check_text
from ragstore.paging import Page, decode_cursor, encode_cursor

SINGLE: dict[str, Any] = {"tokens_used": None, "model": None, "metadata": {}}  # with role and content
Position = Annotated[int, Meta(ge=0, le=2**31 - 1)]
LONGEST_MESSAGE = 4 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class ChatService:
    """Sessions and their messages. Raises NotFound for a session the tenant does not have."""

    session: AsyncSession
    tenant_id: uuid.UUID

    async def open_session(self, wanted: SessionCreate) -> tuple[SessionRead, bool]:
        """The session, and whether it was made just now; a key that is taken answers the session that has it."""
        refuse(
            [
                *check_key("key", wanted.key),
                *check_text("title", wanted.title),
                *check_metadata("metadata", wanted.metadata),
            ]
        )
        if wanted.user_id and not await queries.has_user(self.session, self.tenant_id, wanted.user_id):
            refuse([FieldError("user_id", "is not a user")])
        row = ChatSession(
            tenant_id=self.tenant_id,
            key=wanted.key,
            title=wanted.title,
            user_id=wanted.user_id,
            meta=wanted.metadata,
        )
        created = await queries.insert_session(self.session, row)
        return to_session(await self._find(row.id if created else None, wanted.key)), created

    async def read_session(self, session_id: uuid.UUID) -> SessionRead:
        return to_session(await self._find(session_id))

    async def list_sessions(self, cursor: str | None, limit: int) -> Page[SessionRead]:
        """Last used first."""
        after = decode_cursor(cursor, tuple[datetime, uuid.UUID]) if cursor else None
        rows = await queries.list_sessions(self.session, self.tenant_id, after, limit + 1)
        items = [to_session(row) for row in rows[:limit]]
        last = items[-1] if len(rows) > limit else None
        return Page(items, encode_cursor((last.last_message_at, last.id)) if last else None)

    async def update_session(self, session_id: uuid.UUID, wanted: SessionUpdate) -> SessionRead:
        row = await self._find(session_id)
        changes: dict[str, Any] = {}
        if wanted.title is not UNSET:
            refuse(list(check_text("title", wanted.title)))
            changes["title"] = wanted.title
        if wanted.metadata is not UNSET:
            refuse(list(check_metadata("metadata", wanted.metadata)))
            changes["meta"] = wanted.metadata
        if changes:
            await queries.update_session(self.session, self.tenant_id, session_id, changes)
            await self.session.refresh(row)
        return to_session(row)

    async def delete_session(self, session_id: uuid.UUID) -> None:
        """With its messages."""
        if not await queries.delete_session(self.session, self.tenant_id, session_id):
            raise session_missing(session_id)

    async def append(self, session_id: uuid.UUID, wanted: MessageAppend) -> list[MessageRead]:
        """All of the messages or none, at the end, in the order sent."""
        messages = list_wanted(wanted)
        refuse([fault for path, one in messages for fault in check_message(path, one)])
        last = await queries.reserve_positions(self.session, self.tenant_id, session_id, len(messages))
        if last is None:
            raise session_missing(session_id)
        rows = [self._to_row(session_id, position, one) for position, (_, one) in enumerate(messages, start=last + 1)]
        return [to_message(row) for row in await queries.insert_messages(self.session, rows)]

    async def append_by_key(self, key: str, wanted: MessageAppend) -> list[MessageRead]:
        """Makes the session if the key is new."""
        refuse(list(check_key("session_key", key)))
        opened, _ = await self.open_session(SessionCreate(key=key))
        return await self.append(opened.id, wanted)

    async def list_messages(
        self,
        *,
        session_id: uuid.UUID | None = None,
        key: str | None = None,
        before: int | None = None,
        after: int | None = None,
        cursor: str | None = None,
        limit: int,
    ) -> Page[MessageRead]:
        """In order: the newest `limit` (before a position), or the first ones after a position. The cursor goes on in
        the same direction: to older messages, or to newer ones.
        """
        if cursor is not None:
            before, after = decode_cursor(cursor, tuple[Position | None, Position | None])
        refuse(list(check_key("session_key", key)))
        found = await self._find(session_id, key)
        rows = await queries.list_messages(
            self.session, self.tenant_id, found.id, before=before, after=after, limit=limit
        )
        items = [to_message(row) for row in rows]
        return Page(items, next_cursor(found, items, after))

    async def _find(self, session_id: uuid.UUID | None, key: str | None = None) -> ChatSession:
        wanted_key = key if session_id is None else None
        row = await queries.find_session(self.session, self.tenant_id, id_=session_id, key=wanted_key)
        if row is None:
            raise session_missing(session_id if session_id is not None else key)
        return row

    def _to_row(self, session_id: uuid.UUID, position: int, one: MessageCreate) -> dict[str, Any]:
        return {
            "tenant_id": self.tenant_id,
            "session_id": session_id,
            "position": position,
            "id": new_id(),
            "role": one.role,
            "content": one.content,
            "tokens_used": one.tokens_used,
            "model": one.model,
            "meta": one.metadata,
        }


def next_cursor(found: ChatSession, items: list[MessageRead], after: int | None) -> str | None:
    if not items:
        return None
    if after is not None:
        return encode_cursor((None, items[-1].position)) if items[-1].position < found.message_count else None
    return encode_cursor((items[0].position, None)) if items[0].position > 1 else None


def session_missing(name: object) -> NotFound:
    return NotFound(f"There is no session {name!s:.200}.")


def list_wanted(wanted: MessageAppend) -> list[tuple[str, MessageCreate]]:
    """The messages with their paths in the body."""
    single = wanted.role is not None or wanted.content is not None
    if single == (wanted.messages is not None):
        raise InvalidRequest(
            "Send either one message or messages.",
            errors=(FieldError("messages", "must be there, or role and content in its place, and not both"),),
        )
    if wanted.messages is not None:
        if beside := [name for name, default in SINGLE.items() if getattr(wanted, name) != default]:
            message = "belongs to a single message: put it into each of messages"
            raise InvalidRequest(f"{beside[0]} {message}.", errors=tuple(FieldError(one, message) for one in beside))
        return [(f"messages[{index}].", one) for index, one in enumerate(wanted.messages)]
    if wanted.role is None or wanted.content is None:
        missing = "role" if wanted.role is None else "content"
        raise InvalidRequest(f"{missing} is missing.", errors=(FieldError(missing, "is missing"),))
    return [("", MessageCreate(wanted.role, wanted.content, wanted.tokens_used, wanted.model, wanted.metadata))]


def check_message(path: str, one: MessageCreate) -> list[FieldError]:
    return [
        *check_text(f"{path}content", one.content, longest=LONGEST_MESSAGE),
        *check_text(f"{path}model", one.model),
        *check_metadata(f"{path}metadata", one.metadata),
    ]


def refuse(faults: Sequence[FieldError]) -> None:
    if faults:
        raise Unprocessable(f"{faults[0].path} {faults[0].message}.", errors=tuple(faults))


def to_session(row: ChatSession) -> SessionRead:
    return SessionRead(
        row.id, row.key, row.title, row.user_id, row.meta, row.message_count, row.last_message_at, row.created_at,
        row.updated_at,
    )  # fmt: skip


def to_message(row: ChatMessage) -> MessageRead:
    return MessageRead(
        row.id, row.session_id, row.position, row.role, row.content, row.tokens_used, row.model, row.meta,
        row.created_at,
    )  # fmt: skip


def to_appended(messages: list[MessageRead], wanted: MessageAppend) -> MessageRead | MessagesAppended:
    """One message in, one out; several in, several out."""
    return MessagesAppended(messages) if wanted.messages is not None else messages[0]
