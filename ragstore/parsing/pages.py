"""Markdown of a PDF out of its parts, so that each page's beginning is known to the character. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ragstore.parsing.texts import fence, to_table

Node = Mapping[str, Any]
PARTING = "\n\n"
SPLIT_WORD = "\x02"  # how a hyphen at the end of a line comes
ALLOWED_LOSS = 0.02  # of a page's characters in its parts; beyond it the page's plain text is taken
TITLE_LEVELS = range(1, 7)


def join_pages(pages: Sequence[str]) -> tuple[str, list[int]]:
    """The pages one after another, and where each begins; one without text begins where the next one does."""
    starts, length = [], 0
    kept = []
    for page in pages:
        starts.append(length)
        if page:
            kept.append(page)
            length += len(page) + len(PARTING)
    content = PARTING.join(kept)
    return content, [min(start, len(content)) for start in starts]


def to_pages(nodes: Iterable[Node], plain: Mapping[int, str]) -> list[str]:
    """`plain` is the text of each page, by number from 1. The parts of a page know what is a heading, but words get
    lost there now and then: then the page is taken as it is.
    """
    parts: dict[int, list[str]] = {}
    page = 1
    for node in nodes:
        page = node.get("page") or page
        if part := to_markdown(node["content"]):
            parts.setdefault(page, []).append(part)
    last = max([0, *parts, *plain])
    return [choose(PARTING.join(parts.get(number, [])), plain.get(number, "")) for number in range(1, last + 1)]


def choose(markdown: str, plain: str) -> str:
    wanted, found = count_characters(plain), count_characters(markdown)
    lost = sum((wanted - found).values())
    return markdown if lost <= ALLOWED_LOSS * wanted.total() else tidy(plain)


def count_characters(text: str) -> Counter[str]:
    return Counter("".join(join_words(text).split()))


def to_markdown(content: Mapping[str, Any]) -> str:
    """Empty for what only holds others: their own parts follow."""
    text = content.get("text")
    text = text if isinstance(text, str) else ""
    match content.get("node_type"):
        case "heading":
            level = content.get("level")
            marks = "#" * (level if isinstance(level, int) and level in TITLE_LEVELS else 1)
            return f"{marks} {to_line(text)}" if text.strip() else ""
        case "title":
            return f"# {to_line(text)}" if text.strip() else ""
        case "list_item":
            return f"- {to_line(text)}" if text.strip() else ""
        case "code":
            return fence(join_words(text)) if text.strip() else ""
        case "table":
            return read_grid(content.get("grid"))
        case "group" | "list" | "page_break" | "image" | "quote":
            return ""
        case _:
            return to_line(text)


def read_grid(grid: object) -> str:
    cells = grid.get("cells") if isinstance(grid, dict) else None
    if not isinstance(cells, list):
        return ""
    rows: dict[int, dict[int, str]] = {}
    for cell in cells:
        rows.setdefault(int(cell["row"]), {})[int(cell["col"])] = str(cell["content"])
    width = max((max(row) + 1 for row in rows.values()), default=0)
    return to_table([[rows[number].get(column, "") for column in range(width)] for number in sorted(rows)]).rstrip()


def to_line(text: str) -> str:
    return " ".join(join_words(text).split())


def join_words(text: str) -> str:
    """A word that was split at the end of a line is one again."""
    return re.sub(rf"{SPLIT_WORD}\s*", "", text)


def tidy(text: str) -> str:
    lines = (line.rstrip() for line in join_words(text).replace("\r\n", "\n").split("\n"))
    return "\n".join(lines).strip()
