"""Users together with their sessions."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec import UNSET, UnsetType

from ragstore.chat.schemas import SessionRead
from ragstore.chat.sessions import queries
from ragstore.chat.sessions.service import to_session
from ragstore.database import AsyncSession
from ragstore.paging import Page
from ragstore.tenant.people import UserService
from ragstore.tenant.schemas import UserRead

MOST_SESSIONS = 50
Sessions = Literal["keep", "delete"]


class OwnerRead(UserRead, kw_only=True):
    """`sessions` (the 50 last used) are there if `include` names them."""

    sessions: list[SessionRead] | UnsetType = UNSET


@dataclass(frozen=True)
class OwnerService:
    """Raises NotFound for a user the tenant does not have."""

    session: AsyncSession
    tenant_id: uuid.UUID

    @property
    def users(self) -> UserService:
        return UserService(self.session, self.tenant_id)

    async def read(self, user_id: uuid.UUID, *, with_sessions: bool) -> OwnerRead:
        (found,) = await self._load([await self.users.read(user_id)], with_sessions=with_sessions)
        return found

    async def list(
        self, *, email: str | None, is_active: bool | None, with_sessions: bool, cursor: str | None, limit: int
    ) -> Page[OwnerRead]:
        """Oldest first."""
        page = await self.users.list(email=email, is_active=is_active, cursor=cursor, limit=limit)
        return Page([*await self._load(page.items, with_sessions=with_sessions)], page.next_cursor)

    async def delete(self, user_id: uuid.UUID, sessions: Sessions) -> None:
        """With their sessions, or leaving them behind without an owner."""
        if sessions == "delete":
            await queries.delete_sessions_of(self.session, self.tenant_id, user_id)
        await self.users.delete(user_id)

    async def _load(self, users: Sequence[UserRead], *, with_sessions: bool) -> Sequence[OwnerRead]:
        """One statement for the sessions of all."""
        owners = [OwnerRead(**{name: getattr(one, name) for name in UserRead.__struct_fields__}) for one in users]
        if with_sessions:
            theirs: dict[uuid.UUID, list[SessionRead]] = {one.id: [] for one in owners}
            for row in await queries.read_last_used(self.session, self.tenant_id, list(theirs), MOST_SESSIONS):
                if row.user_id is not None:  # they were found by it
                    theirs[row.user_id].append(to_session(row))
            for one in owners:
                one.sessions = theirs[one.id]
        return owners
