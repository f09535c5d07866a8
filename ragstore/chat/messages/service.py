import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta

from ragstore.chat.messages import queries
from ragstore.chat.messages.shapes import (
    LARGEST_CALLS,
    check_content,
    check_json,
    check_message,
    list_wanted,
    read_content,
    to_message,
    to_row,
)
from ragstore.chat.schemas import (
    MessageAppend,
    MessagePage,
    MessageRead,
    MessagesAppended,
    MessageUpdate,
    SessionCreate,
)
from ragstore.chat.sessions.service import SessionService, session_missing
from ragstore.chat.tables import ChatMessage, ChatSession
from ragstore.database import AsyncSession
from ragstore.errors import FieldError, NotFound
from ragstore.fields import check_key, check_metadata, check_text, refuse
from ragstore.paging import decode_cursor, encode_cursor

Position = Annotated[int, Meta(ge=0, le=2**31 - 1)]
BLANK: dict[str, Any] = {"content": "", "parts": None, "tool_calls": None, "citations": None, "meta": {}}


@dataclass(frozen=True)
class MessageService:
    """Raises NotFound for a session or a message the tenant does not have."""

    session: AsyncSession
    tenant_id: uuid.UUID

    @property
    def sessions(self) -> SessionService:
        return SessionService(self.session, self.tenant_id)

    async def append(self, session_id: uuid.UUID, wanted: MessageAppend) -> list[MessageRead]:
        """All of the messages or none, at the end, in the order sent."""
        messages = list_wanted(wanted)
        refuse([fault for path, one in messages for fault in check_message(path, one)])
        last = await queries.reserve_positions(self.session, self.tenant_id, session_id, len(messages))
        if last is None:
            raise session_missing(session_id)
        rows = [
            to_row(self.tenant_id, session_id, position, one)
            for position, (_, one) in enumerate(messages, start=last + 1)
        ]
        return [to_message(row) for row in await queries.insert_messages(self.session, rows)]

    async def append_by_key(self, key: str, wanted: MessageAppend) -> list[MessageRead]:
        """Makes the session if the key is new."""
        refuse(list(check_key("session_key", key)))
        opened, _ = await self.sessions.open(SessionCreate(key=key))
        return await self.append(opened.id, wanted)

    async def list(
        self,
        *,
        session_id: uuid.UUID | None = None,
        key: str | None = None,
        before: int | None = None,
        after: int | None = None,
        cursor: str | None = None,
        limit: int,
    ) -> MessagePage:
        """In order: the newest `limit` (before a position), or the first ones after a position. The cursor goes on in
        the same direction: to older messages, or to newer ones.
        """
        if cursor is not None:
            before, after = decode_cursor(cursor, tuple[Position | None, Position | None])
        refuse(list(check_key("session_key", key)))
        found = await self.sessions.find(session_id, key)
        rows = await queries.list_messages(
            self.session, self.tenant_id, found.id, before=before, after=after, limit=limit
        )
        items = [to_message(row) for row in rows]
        return turn_page(found, items, onward=after is not None)

    async def list_by_email(self, email: str, *, cursor: str | None, limit: int) -> MessagePage:
        """Newest first, over all sessions of the user."""
        refuse(list(check_text("user_email", email)))
        if not await queries.has_email(self.session, self.tenant_id, email):
            raise NotFound(f"There is no user {email:.200}.")
        before = decode_cursor(cursor, tuple[datetime, uuid.UUID]) if cursor else None
        rows = await queries.list_by_email(self.session, self.tenant_id, email, before, limit + 1)
        items = [to_message(row) for row in rows[:limit]]
        more = encode_cursor((items[-1].created_at, items[-1].id)) if len(rows) > limit else None
        return MessagePage(items, more)

    async def read(self, session_id: uuid.UUID, message_id: uuid.UUID) -> MessageRead:
        """A deleted one too."""
        return to_message(await self._find(session_id, message_id))

    async def update(self, session_id: uuid.UUID, message_id: uuid.UUID, wanted: MessageUpdate) -> MessageRead:
        """It keeps its place; whoever reads it sees that it was edited."""
        row = await self._find_there(session_id, message_id)
        changes = list_changes(wanted)
        if {"content", "parts"} & changes.keys():
            changes["edited_at"] = datetime.now(UTC)
            await queries.forget_summary(self.session, self.tenant_id, session_id, row.position)
        if changes:
            await queries.update_message(self.session, self.tenant_id, message_id, changes)
            await self.session.refresh(row)
        return to_message(row)

    async def delete(self, session_id: uuid.UUID, message_id: uuid.UUID) -> None:
        """What it said is gone; its place stays, so that positions mean what they meant."""
        row = await self._find_there(session_id, message_id)
        await queries.forget_summary(self.session, self.tenant_id, session_id, row.position)
        changes = BLANK | {"deleted_at": datetime.now(UTC)}
        await queries.update_message(self.session, self.tenant_id, message_id, changes)
        await queries.delete_retrieval(self.session, self.tenant_id, message_id)

    async def _find_there(self, session_id: uuid.UUID, message_id: uuid.UUID) -> ChatMessage:
        row = await self._find(session_id, message_id)
        if row.deleted_at is not None:
            raise NotFound(f"The message {message_id} was deleted.")
        return row

    async def _find(self, session_id: uuid.UUID, message_id: uuid.UUID) -> ChatMessage:
        row = await queries.find_message(self.session, self.tenant_id, session_id, message_id)
        if row is None:
            raise NotFound(f"There is no message {message_id} in this session.")
        return row


def list_changes(wanted: MessageUpdate) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    faults: list[FieldError] = []
    if wanted.content is not UNSET:
        faults += check_content("content", wanted.content)
        refuse(faults)
        changes["content"], changes["parts"] = read_content(wanted.content)
    if wanted.metadata is not UNSET:
        faults += check_metadata("metadata", wanted.metadata)
        changes["meta"] = wanted.metadata
    if wanted.citations is not UNSET:
        faults += check_json("citations", wanted.citations, LARGEST_CALLS)
        changes["citations"] = wanted.citations
    refuse(faults)
    return changes


def turn_page(found: ChatSession, items: list[MessageRead], *, onward: bool) -> MessagePage:
    """`next_cursor` goes on in the direction of this page, `previous_cursor` turns round."""
    if not items:
        return MessagePage(items)
    older = encode_cursor((items[0].position, None)) if items[0].position > 1 else None
    newer = encode_cursor((None, items[-1].position))
    if onward:
        return MessagePage(items, newer if items[-1].position < found.message_count else None, older)
    return MessagePage(items, older, newer)


def to_appended(messages: list[MessageRead], wanted: MessageAppend) -> MessageRead | MessagesAppended:
    """One message in, one out; several in, several out."""
    return MessagesAppended(messages) if wanted.messages is not None else messages[0]
