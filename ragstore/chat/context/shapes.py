"""A context as a chat completion takes it. Pure."""

from ragstore.chat.context.schemas import ContextRead
from ragstore.chat.messages.shapes import to_openai
from ragstore.chat.schemas import OpenAIMessage

TOLD = "What was said before, in short:\n"


def to_prompt(found: ContextRead) -> list[OpenAIMessage]:
    """System messages first, then the summary."""
    system = [to_openai(one) for one in found.messages if one.role == "system"]
    told = [] if found.summary is None else [OpenAIMessage("system", TOLD + found.summary.content)]
    return [*system, *told, *(to_openai(one) for one in found.messages if one.role != "system")]
