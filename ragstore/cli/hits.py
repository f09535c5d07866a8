"""Hits for people."""

import re
from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ragstore.search.schemas import Hit

WORD = re.compile(r"\w{3,}")
RULE = re.compile(r"[=*~^#-]{3,}")  # lines under headings and between sections
SNIPPET = 220


def make_table(hits: Sequence[Hit], query: str) -> Table:
    table = Table(expand=True, show_lines=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("document", ratio=2, overflow="fold")
    table.add_column("passage", ratio=5, overflow="fold")
    for hit in hits:
        table.add_row(f"{hit.score:.3f}", describe_document(hit), Text(cut_snippet(hit.content, query)))
    return table


def count_hits(hits: Sequence[Hit]) -> str:
    return f"{len(hits) or 'no'} {'hit' if len(hits) == 1 else 'hits'}"


def describe_document(hit: Hit) -> Group:
    """Title, key and source, each if it says something new."""
    lines = [Text(hit.title or hit.document_key, style="bold")]
    shown = {hit.title or hit.document_key}
    for other in (hit.document_key, hit.source):
        if other and other not in shown:
            shown.add(other)
            lines.append(Text(other, style="dim"))
    return Group(*lines)


def cut_snippet(passage: str, query: str, length: int = SNIPPET) -> str:
    """The part of the passage that has most of the query's words, on one line."""
    text = " ".join(RULE.sub(" ", passage).split())
    if len(text) <= length:
        return text
    words = {word.lower() for word in WORD.findall(query)}
    starts = [0, *(found.end() for found in re.finditer(r"[.!?:;] ", text) if found.end() + length // 2 < len(text))]
    best = max(starts, key=lambda start: (count_words(text[start : start + length], words), -start))
    end = best + length
    cut = text[best:end].rsplit(" ", 1)[0] if end < len(text) else text[best:]
    return f"{'… ' if best else ''}{cut}{' …' if end < len(text) else ''}"


def count_words(text: str, words: set[str]) -> int:
    return len(words & {word.lower() for word in WORD.findall(text)})
