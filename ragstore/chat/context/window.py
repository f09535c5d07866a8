"""Which messages fit into a budget of tokens. Pure.

A turn is what a user says and all that follows until a user speaks again. Within a turn a message that calls tools and
the results of its calls are one unit: a model refuses the one without the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ragstore.chat.messages.shapes import to_openai
from ragstore.chat.schemas import MessageRead

MESSAGE_TOKENS = 4  # what a chat completion adds around each message


@dataclass(frozen=True)
class Counted:
    message: MessageRead
    tokens: int


@dataclass(frozen=True)
class Window:
    """`messages` in order. `complete`: the last turn is whole, or there is none."""

    messages: list[MessageRead]
    tokens: int
    complete: bool = True


def to_text(one: MessageRead) -> str:
    """What of it costs tokens."""
    shown: Any = to_openai(one)
    parts = [shown.content if isinstance(shown.content, str) else "", shown.tool_call_id or ""]
    if isinstance(shown.content, list):
        parts += [str(part["text"]) if "text" in part else msgspec.json.encode(part).decode() for part in shown.content]
    if one.tool_calls:
        parts.append(msgspec.json.encode(one.tool_calls).decode())
    return "\n".join(part for part in parts if part)


def choose_window(spoken: Sequence[Counted], budget: int) -> Window:
    """Of messages in order, none of them a system message: the newest turns that fit whole, without a gap. If not even
    the last one does, the newest units of it.
    """
    turns = split_turns(spoken)
    chosen: list[Counted] = []
    left = budget
    for place, turn in enumerate(reversed(turns)):
        size = sum(one.tokens for one in turn)
        if size > left:
            if place == 0:
                part = choose_units(turn, left)
                return Window([one.message for one in part], sum(one.tokens for one in part), complete=False)
            break
        chosen = turn + chosen
        left -= size
    return Window([one.message for one in chosen], budget - left)


def split_turns(spoken: Sequence[Counted]) -> list[list[Counted]]:
    turns: list[list[Counted]] = []
    for unit in split_units(spoken):
        if not turns or unit[0].message.role == "user":
            turns.append([])
        turns[-1] += unit
    return turns


def split_units(spoken: Sequence[Counted]) -> list[list[Counted]]:
    """Results belong to the call before them, whatever stands in between but what a user says. A result whose call is
    not there is left out: no model takes it.
    """
    units: list[list[Counted]] = []
    calling: list[Counted] | None = None
    open_calls: set[str] = set()
    for one in spoken:
        message = one.message
        if message.role == "tool" and message.tool_call_id not in open_calls:
            continue
        if calling is not None and message.role != "user" and open_calls:
            calling.append(one)
            open_calls.discard(message.tool_call_id or "")
            continue
        units.append([one])
        calls = {str(call.get("id")) for call in message.tool_calls or ()}
        calling, open_calls = (units[-1], calls) if calls else (None, set())
    return units


def choose_units(turn: Sequence[Counted], budget: int) -> list[Counted]:
    chosen: list[Counted] = []
    for unit in reversed(split_units(turn)):
        size = sum(one.tokens for one in unit)
        if size > budget:
            break
        chosen = unit + chosen
        budget -= size
    return chosen
