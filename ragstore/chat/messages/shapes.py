"""Messages between the wire and their rows: what they must be, and how they read. Pure."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from ragstore.chat.schemas import Content, MessageAppend, MessageCreate, MessageRead, OpenAIMessage
from ragstore.chat.tables import ChatMessage
from ragstore.columns import new_id
from ragstore.errors import FieldError, InvalidRequest
from ragstore.fields import check_metadata, check_text

LONGEST_CONTENT = 4 * 1024 * 1024  # bytes
LARGEST_PARTS = 4 * 1024 * 1024  # bytes as JSON, with what images they hold
LARGEST_CALLS = 1024 * 1024
TEXT_PARTS = ("text", "input_text", "output_text")
OWN = tuple(name for name in MessageCreate.__struct_fields__)


def list_wanted(wanted: MessageAppend) -> list[tuple[str, MessageCreate]]:
    """The messages with their paths in the body. Raises InvalidRequest for none, or for one beside several."""
    given = {name: getattr(wanted, name) for name in OWN}
    single = [name for name, value in given.items() if value not in (None, {})]
    if wanted.messages is not None:
        if single:
            message = "belongs to a single message: put it into each of messages"
            faults = tuple(FieldError(one, message) for one in single)
            raise InvalidRequest(f"{single[0]} {message}.", errors=faults)
        found = [(f"messages[{index}].", one) for index, one in enumerate(wanted.messages)]
    elif wanted.role is None:
        fault = FieldError("role", "is missing") if single else FieldError("messages", "must be there, or one message")
        raise InvalidRequest(f"{fault.path} {fault.message}.", errors=(fault,))
    else:
        found = [("", MessageCreate(**given))]
    silent = [FieldError(f"{path}content", "is missing") for path, one in found if says_nothing(one)]
    if silent:
        raise InvalidRequest(f"{silent[0].path} is missing.", errors=tuple(silent))
    return found


def says_nothing(one: MessageCreate) -> bool:
    return one.content is None and one.tool_calls is None


def check_message(path: str, one: MessageCreate) -> Iterator[FieldError]:
    if one.content is not None:
        yield from check_content(f"{path}content", one.content)
    if one.tool_calls is not None and one.role != "assistant":
        yield FieldError(f"{path}tool_calls", "belongs to an assistant's message")
    if one.tool_call_id is not None and one.role != "tool":
        yield FieldError(f"{path}tool_call_id", "belongs to a message of the role tool")
    if one.role == "tool" and not one.tool_call_id:
        yield FieldError(f"{path}tool_call_id", "is missing: a tool's message names the call that it answers")
    for index, call in enumerate(one.tool_calls or ()):
        if not isinstance(call.get("id"), str) or not call["id"]:
            yield FieldError(f"{path}tool_calls[{index}].id", "is missing: a tool's message answers a call by its id")
    yield from check_text(f"{path}tool_call_id", one.tool_call_id)
    yield from check_text(f"{path}model", one.model)
    yield from check_metadata(f"{path}metadata", one.metadata)
    yield from check_json(f"{path}tool_calls", one.tool_calls, LARGEST_CALLS)
    yield from check_json(f"{path}citations", one.citations, LARGEST_CALLS)


def check_content(path: str, content: Content) -> Iterator[FieldError]:
    if isinstance(content, str):
        yield from check_text(path, content, longest=LONGEST_CONTENT)
        return
    for index, part in enumerate(content):
        if not isinstance(part.get("type"), str):
            yield FieldError(f"{path}[{index}].type", "is missing: a part says what it is, such as text")
        elif part["type"] in TEXT_PARTS and not isinstance(part.get("text"), str):
            yield FieldError(f"{path}[{index}].text", "is missing")
    yield from check_json(path, content, LARGEST_PARTS)


def check_json(path: str, value: object, largest: int) -> Iterator[FieldError]:
    """What JSONB cannot hold, and what is too large."""
    if value is None:
        return
    encoded = msgspec.json.encode(value)
    if len(encoded) > largest:
        yield FieldError(path, f"must not be larger than {largest} bytes as JSON, is {len(encoded)}")
    if b"\\u0000" in encoded.replace(b"\\\\", b""):
        yield FieldError(path, "must not contain the NUL character (U+0000)")


def read_content(content: Content | None) -> tuple[str, Sequence[Mapping[str, Any]] | None]:
    """The text, and the parts if it came in parts."""
    if content is None or isinstance(content, str):
        return content or "", None
    texts = [part["text"] for part in content if part.get("type") in TEXT_PARTS]
    return "\n".join(texts), content


def to_row(tenant_id: uuid.UUID, session_id: uuid.UUID, position: int, one: MessageCreate) -> dict[str, Any]:
    content, parts = read_content(one.content)
    return {
        "tenant_id": tenant_id,
        "session_id": session_id,
        "position": position,
        "id": new_id(),
        "role": one.role,
        "content": content,
        "parts": parts,
        "tool_calls": one.tool_calls,
        "tool_call_id": one.tool_call_id,
        "tokens_used": one.tokens_used,
        "model": one.model,
        "latency_ms": one.latency_ms,
        "citations": one.citations,
        "meta": one.metadata,
    }


def to_message(row: ChatMessage) -> MessageRead:
    return MessageRead(
        id=row.id,
        session_id=row.session_id,
        position=row.position,
        role=row.role,
        content=row.content,
        tokens_used=row.tokens_used,
        model=row.model,
        metadata=row.meta,
        created_at=row.created_at,
        parts=row.parts,
        tool_calls=row.tool_calls,
        tool_call_id=row.tool_call_id,
        latency_ms=row.latency_ms,
        citations=row.citations,
        state=row.state,
        edited_at=row.edited_at,
        deleted_at=row.deleted_at,
    )


def to_openai(one: MessageRead) -> OpenAIMessage:
    content = one.parts if one.parts is not None else one.content
    return OpenAIMessage(
        one.role,
        None if one.tool_calls and not content else content,
        UNSET if one.tool_calls is None else one.tool_calls,
        UNSET if one.tool_call_id is None else one.tool_call_id,
    )
