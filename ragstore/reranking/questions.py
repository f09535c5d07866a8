"""The request body of each kind of rerank endpoint. All texts are asked for, and no copies of them."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

Style = Literal["cohere", "voyage", "tei"]


def write_question(style: Style, model: str, query: str, texts: Sequence[str]) -> bytes:
    return msgspec.json.encode(describe_question(style, model, query, texts))


def describe_question(style: Style, model: str, query: str, texts: Sequence[str]) -> dict[str, Any]:
    """`cohere` is what Cohere, Jina, vLLM, Infinity, LiteLLM and most gateways take; some insist on `top_n`."""
    if style == "tei":
        # it refuses a text that is too long unless it may cut it
        return {"query": query, "texts": texts, "truncate": True, "return_text": False}
    asked = {"model": model, "query": query, "documents": texts, "return_documents": False}
    # Voyage answers 400 to an argument it does not know, `top_n` among them
    return asked | {"top_k" if style == "voyage" else "top_n": len(texts)}
