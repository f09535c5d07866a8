"""What of a session a model is given: as much as fits."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from ragstore.chat.context import queries
from ragstore.chat.context.schemas import ContextRead, SummaryRead
from ragstore.chat.context.summaries import request_summary
from ragstore.chat.context.window import MESSAGE_TOKENS, Counted, choose_window, to_text
from ragstore.chat.messages.shapes import to_message
from ragstore.chat.sessions.service import SessionService
from ragstore.chat.tables import ChatMessage, ChatSession
from ragstore.database import AsyncSession
from ragstore.embedding.tokens import count_tokens
from ragstore.errors import FieldError
from ragstore.fields import refuse

PAGE = 100


@dataclass(frozen=True)
class ContextService:
    """Raises NotFound for a session the tenant does not have, Unprocessable where even its system messages need more
    than there is. `summarising`: whether what is left out is summed up in the background.
    """

    session: AsyncSession
    tenant_id: uuid.UUID
    summarising: bool = False

    async def read(
        self, session_id: uuid.UUID | None, max_tokens: int, *, key: str | None = None, with_summary: bool = True
    ) -> ContextRead:
        row = await SessionService(self.session, self.tenant_id).find(session_id, key)
        system = count_messages(await queries.read_system_messages(self.session, self.tenant_id, row.id))
        used = sum(one.tokens for one in system)
        if used > max_tokens:
            refuse([FieldError("max_tokens", f"must be {used} at least: so many tokens have the system messages")])
        spoken, more = await self._read_newest(row.id, max_tokens - used)
        window = choose_window(spoken, max_tokens - used)
        left_out = more or len(window.messages) < len(spoken)
        summary = read_summary(row) if left_out and with_summary else None
        if summary is not None:
            size = count_text(summary.content)
            summary = summary if used + size <= max_tokens else None
            used += size if summary is not None else 0
            window = choose_window(spoken, max_tokens - used)
        starts_at = window.messages[0].position if window.messages else None
        if self.summarising and left_out:
            await request_summary(self.session, self.tenant_id, row, starts_at)
        messages = sorted([*(one.message for one in system), *window.messages], key=lambda one: one.position)
        return ContextRead(messages, used + window.tokens, max_tokens, left_out, starts_at, summary, window.complete)

    async def _read_newest(self, session_id: uuid.UUID, budget: int) -> tuple[list[Counted], bool]:
        """In order, a page more than fits, and whether there are older ones."""
        found: list[Counted] = []
        before: int | None = None
        while True:
            rows = await queries.read_spoken(
                self.session, self.tenant_id, session_id, before=before, newest_first=True, limit=PAGE
            )
            found = count_messages(rows[::-1]) + found
            if len(rows) < PAGE:
                return found, False
            before = rows[-1].position
            if sum(one.tokens for one in found) > budget:
                return found, True


def read_summary(row: ChatSession) -> SummaryRead | None:
    if row.summary is None:
        return None
    return SummaryRead(row.summary, row.summary_until, row.summary_model)


def count_messages(rows: Sequence[ChatMessage]) -> list[Counted]:
    messages = [to_message(row) for row in rows]
    counts = count_tokens([to_text(one) for one in messages])
    return [Counted(one, tokens + MESSAGE_TOKENS) for one, tokens in zip(messages, counts, strict=True)]


def count_text(text: str) -> int:
    return count_tokens([text])[0] + MESSAGE_TOKENS
