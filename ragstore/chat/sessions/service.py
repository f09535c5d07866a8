import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import UNSET

from ragstore.chat.messages.shapes import to_message
from ragstore.chat.schemas import WINDOW, Include, MessageRead, SessionCreate, SessionFork, SessionRead, SessionUpdate
from ragstore.chat.sessions import queries
from ragstore.chat.tables import ChatSession
from ragstore.columns import new_id
from ragstore.database import AsyncSession
from ragstore.errors import FieldError, NotFound
from ragstore.fields import check_key, check_metadata, check_text, refuse
from ragstore.paging import Page, decode_cursor, encode_cursor
from ragstore.tenant.people import to_user

NOTHING: frozenset[Include] = frozenset()


@dataclass(frozen=True)
class SessionService:
    """Raises NotFound for a session the tenant does not have, or has no longer."""

    session: AsyncSession
    tenant_id: uuid.UUID

    async def open(self, wanted: SessionCreate) -> tuple[SessionRead, bool]:
        """The session, and whether it was made just now; a key that is taken answers the session that has it."""
        refuse(
            [
                *check_key("key", wanted.key),
                *check_text("title", wanted.title),
                *check_metadata("metadata", wanted.metadata),
                *check_life(wanted.expires_at, wanted.idle_days),
            ]
        )
        await self._check_owner(wanted.user_id)
        row = ChatSession(
            tenant_id=self.tenant_id,
            key=wanted.key,
            title=wanted.title,
            user_id=wanted.user_id,
            meta=wanted.metadata,
            expires_at=wanted.expires_at if wanted.idle_days is None else in_days(wanted.idle_days),
            idle_days=wanted.idle_days,
        )
        created = await queries.insert_session(self.session, row)
        return to_session(await self.find(row.id if created else None, wanted.key)), created

    async def read(
        self, session_id: uuid.UUID | None, *, key: str | None = None, include: Collection[Include] = NOTHING
    ) -> SessionRead:
        found = to_session(await self.find(session_id, key))
        await self.add_included([found], include)
        return found

    async def list(
        self,
        *,
        user_id: uuid.UUID | None = None,
        archived: bool | None = None,
        include: Collection[Include] = NOTHING,
        cursor: str | None = None,
        limit: int,
    ) -> Page[SessionRead]:
        """Last used first."""
        after = decode_cursor(cursor, tuple[datetime, uuid.UUID]) if cursor else None
        rows = await queries.list_sessions(
            self.session, self.tenant_id, user_id=user_id, archived=archived, after=after, limit=limit + 1
        )
        items = [to_session(row) for row in rows[:limit]]
        await self.add_included(items, include)
        last = items[-1] if len(rows) > limit else None
        return Page(items, encode_cursor((last.last_message_at, last.id)) if last else None)

    async def add_included(self, items: Sequence[SessionRead], include: Collection[Include]) -> None:
        """One statement for all users, one for all messages, however many sessions there are."""
        if "user" in include:
            ids = {one.user_id for one in items if one.user_id is not None}
            rows = await queries.read_owners(self.session, self.tenant_id, list(ids))
            users = {row.id: to_user(row) for row in rows}
            for one in items:
                one.user = None if one.user_id is None else users.get(one.user_id)
        if "messages" in include:
            newest: dict[uuid.UUID, list[MessageRead]] = {one.id: [] for one in items}
            for row in await queries.read_newest(self.session, self.tenant_id, list(newest), WINDOW):
                newest[row.session_id].append(to_message(row))
            for one in items:
                one.messages = newest[one.id]

    async def update(self, session_id: uuid.UUID, wanted: SessionUpdate) -> SessionRead:
        row = await self.find(session_id)
        changes = list_changes(wanted, row)
        if isinstance(wanted.user_id, uuid.UUID):
            await self._check_owner(wanted.user_id)
        if changes:
            await queries.update_session(self.session, self.tenant_id, session_id, changes)
            await self.session.refresh(row)
        return to_session(row)

    async def delete(self, session_id: uuid.UUID) -> None:
        """With its messages."""
        if not await queries.delete_session(self.session, self.tenant_id, session_id):
            raise session_missing(session_id)

    async def fork(self, session_id: uuid.UUID, wanted: SessionFork) -> SessionRead:
        """A new session that begins with the messages of this one; neither knows of what is added to the other."""
        row = await queries.lock_session(self.session, self.tenant_id, session_id)
        if row is None:
            raise session_missing(session_id)
        title = row.title if wanted.title is UNSET else wanted.title
        metadata = row.meta if wanted.metadata is UNSET else wanted.metadata
        position = row.message_count if wanted.position is None else wanted.position
        faults = [*check_key("key", wanted.key), *check_text("title", title), *check_metadata("metadata", metadata)]
        if position > row.message_count:
            faults.append(FieldError("position", f"must not be beyond the last message, {row.message_count}"))
        refuse(faults)
        fork = ChatSession(
            tenant_id=self.tenant_id,
            key=wanted.key,
            title=title,
            user_id=row.user_id,
            meta=metadata,
            expires_at=row.expires_at if row.idle_days is None else in_days(row.idle_days),
            idle_days=row.idle_days,
            forked_from=row.id,
            forked_at=position,
            message_count=position,
        )
        if not await queries.insert_session(self.session, fork):
            refuse([FieldError("key", "is the key of another session")])
        ids = [new_id() for _ in range(position)]
        await queries.fork_messages(self.session, self.tenant_id, session_id, fork.id, ids)
        return await self.read(fork.id)

    async def find(self, session_id: uuid.UUID | None, key: str | None = None) -> ChatSession:
        wanted_key = key if session_id is None else None
        row = await queries.find_session(self.session, self.tenant_id, id_=session_id, key=wanted_key)
        if row is None:
            raise session_missing(session_id if session_id is not None else key)
        return row

    async def _check_owner(self, user_id: uuid.UUID | None) -> None:
        if user_id is not None and not await queries.has_owner(self.session, self.tenant_id, user_id):
            refuse([FieldError("user_id", "is not a user")])


def in_days(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def check_life(expires_at: datetime | None, idle_days: int | None) -> list[FieldError]:
    if expires_at is None:
        return []
    if idle_days is not None:
        return [FieldError("idle_days", "must not come with expires_at: a session ends by the one or by the other")]
    if expires_at.tzinfo is None:
        return [FieldError("expires_at", "must say its time zone, such as 2030-01-31T00:00:00Z")]
    return [] if expires_at > datetime.now(UTC) else [FieldError("expires_at", "must be in the future")]


def list_changes(wanted: SessionUpdate, row: ChatSession) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    faults: list[FieldError] = []
    if wanted.title is not UNSET:
        faults += check_text("title", wanted.title)
        changes["title"] = wanted.title
    if wanted.metadata is not UNSET:
        faults += check_metadata("metadata", wanted.metadata)
        changes["meta"] = wanted.metadata
    if wanted.user_id is not UNSET:
        changes["user_id"] = wanted.user_id
    if wanted.archived is not UNSET:
        changes["archived_at"] = (row.archived_at or datetime.now(UTC)) if wanted.archived else None
    refuse([*faults, *change_life(wanted, changes)])
    return changes


def change_life(wanted: SessionUpdate, changes: dict[str, Any]) -> list[FieldError]:
    """Adds to the changes; the one way to end replaces the other."""
    expires_at = None if wanted.expires_at is UNSET else wanted.expires_at
    idle_days = None if wanted.idle_days is UNSET else wanted.idle_days
    if wanted.expires_at is not UNSET or wanted.idle_days is not UNSET:
        changes["idle_days"] = idle_days
        changes["expires_at"] = expires_at if idle_days is None else in_days(idle_days)
    return check_life(expires_at, idle_days)


def session_missing(name: object) -> NotFound:
    return NotFound(f"There is no session {name!s:.200}.")


def to_session(row: ChatSession) -> SessionRead:
    return SessionRead(
        id=row.id,
        key=row.key,
        title=row.title,
        user_id=row.user_id,
        metadata=row.meta,
        message_count=row.message_count,
        last_message_at=row.last_message_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        archived_at=row.archived_at,
        expires_at=row.expires_at,
        idle_days=row.idle_days,
        forked_from=row.forked_from,
        forked_at=row.forked_at,
    )
