"""What is asked of a chat model, and what it answers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

Messages = Sequence[Mapping[str, Any]]  # as a chat completion takes them


@dataclass
class Completion:
    """Grows while it is streamed: `text` is what came so far. Tokens are None where the provider does not say.

    `finish` is the provider's word for why it ended: `stop`, or `length` when it was cut off.
    """

    model: str
    parts: list[str] = field(default_factory=list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.parts)


class ChatModel(Protocol):
    """Raises ProviderUnavailable, ProviderFailed and ProviderRefused."""

    @property
    def name(self) -> str: ...

    def stream(
        self, messages: Messages, completion: Completion, *, max_tokens: int
    ) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Pieces of text as they come, which `completion` collects. Leaving the context, however, ends the call."""
        ...

    async def complete(self, messages: Messages, *, max_tokens: int) -> Completion: ...

    async def close(self) -> None: ...
