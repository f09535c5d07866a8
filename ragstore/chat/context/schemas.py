import msgspec

from ragstore.chat.schemas import MessageRead


class SummaryRead(msgspec.Struct):
    """What the messages up to position `until` said, in the words of `model`."""

    content: str
    until: int
    model: str | None


class ContextRead(msgspec.Struct):
    """`messages` in order: system messages, then the newest turns that fit. `tokens` are those of all of them and of
    the summary, at most `max_tokens`. `left_out`: there are older messages than the turns from `starts_at` on, and
    `summary` tells of them if they were summed up. `complete` is false when even the last turn did not fit whole.
    """

    messages: list[MessageRead]
    tokens: int
    max_tokens: int
    left_out: bool
    starts_at: int | None = None
    summary: SummaryRead | None = None
    complete: bool = True
