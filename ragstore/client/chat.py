"""The calls about sessions and their messages."""

from collections.abc import Sequence
from uuid import UUID

from ragstore.chat.schemas import (
    MessageCreate,
    MessageRead,
    MessagesAppended,
    OpenAIMessage,
    SessionCreate,
    SessionRead,
)
from ragstore.client.transport import Transport
from ragstore.paging import Page


class ChatCalls:
    transport: Transport

    def open_session(self, wanted: SessionCreate) -> SessionRead:
        """The same `key` again answers the session that is there."""
        repeatable = wanted.key is not None
        return self.transport.call(SessionRead, "POST", "/v1/sessions", body=wanted, repeatable=repeatable)

    def append_messages(self, session_id: UUID, messages: Sequence[MessageCreate]) -> list[MessageRead]:
        """All of them or none."""
        path = f"/v1/sessions/{session_id}/messages"
        return self.transport.call(MessagesAppended, "POST", path, body={"messages": messages}).messages

    def list_messages(
        self, session_id: UUID, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> list[MessageRead]:
        """The newest, oldest of them first."""
        params = {"before": before, "after": after, "limit": limit}
        path = f"/v1/sessions/{session_id}/messages"
        return self.transport.call(Page[MessageRead], "GET", path, params=params).items

    def list_openai_messages(self, session_id: UUID, *, limit: int = 50) -> list[OpenAIMessage]:
        """The same as a chat completion takes them."""
        params = {"limit": limit, "format": "openai"}
        return self.transport.call(list[OpenAIMessage], "GET", f"/v1/sessions/{session_id}/messages", params=params)
