"""Hits for people."""

import re
from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ragstore.search.schemas import Hit, Neighbor, Scores

RULE = re.compile(r"[=*~^#-]{3,}")  # lines under headings and between sections
SNIPPET = 220
MATCH = "bold"
ASIDE = "dim"
Spans = Sequence[tuple[int, int]]


def make_table(hits: Sequence[Hit]) -> Table:
    """Their matched words stand out if they were asked for with `highlight`."""
    table = Table(expand=True, show_lines=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("document", ratio=2, overflow="fold")
    table.add_column("passage", ratio=5, overflow="fold")
    several = len({hit.collection for hit in hits}) > 1
    for hit in hits:
        table.add_row(describe_scores(hit), describe_document(hit, several), show_passage(hit))
    return table


def count_hits(hits: Sequence[Hit]) -> str:
    return f"{len(hits) or 'no'} {'hit' if len(hits) == 1 else 'hits'}"


def describe_scores(hit: Hit) -> Group:
    """The score, and the parts that it is made of."""
    lines = [Text(f"{hit.score:.3f}")]
    if isinstance(hit.scores, Scores):
        parts = {"text": hit.scores.text, "vector": hit.scores.vector, "rerank": hit.scores.rerank}
        lines += [
            Text(f"{name} {score:.2f}", style=ASIDE)
            for name, score in parts.items()
            if score is not None and score != hit.score
        ]
    return Group(*lines)


def describe_document(hit: Hit, with_collection: bool = False) -> Group:
    """Title, key, source and collection, each if it says something new."""
    lines = [Text(hit.title or hit.document_key, style="bold")]
    shown = {hit.title or hit.document_key}
    for other in (hit.document_key, hit.source, f"in {hit.collection}" if with_collection else None):
        if other and other not in shown:
            shown.add(other)
            lines.append(Text(other, style=ASIDE))
    return Group(*lines)


def show_passage(hit: Hit) -> Group:
    """The best part of it, between the passages beside it if they are there."""
    beside: Sequence[Neighbor] = hit.neighbors if isinstance(hit.neighbors, list) else ()
    highlights: Spans = hit.highlights if isinstance(hit.highlights, list) else ()
    before = [Text(cut_end(text), style=ASIDE) for text in list_before(hit, beside)]
    after = [Text(cut_beginning(text), style=ASIDE) for text in list_after(hit, beside)]
    return Group(*before, cut_snippet(hit.content, highlights), *after)


def list_before(hit: Hit, beside: Sequence[Neighbor]) -> list[str]:
    """In order, each without what it shares with the one after it: passages overlap."""
    texts, start = [], hit.start
    for one in sorted(beside, key=lambda one: -one.ordinal):
        if one.ordinal < hit.ordinal:
            texts.append(one.content[: max(start - one.start, 0)])
            start = one.start
    return texts[::-1]


def list_after(hit: Hit, beside: Sequence[Neighbor]) -> list[str]:
    """In order, each without what it shares with the one before it."""
    texts, end = [], hit.end
    for one in sorted(beside, key=lambda one: one.ordinal):
        if one.ordinal > hit.ordinal:
            texts.append(one.content[max(end - one.start, 0) :])
            end = one.end
    return texts


def cut_snippet(passage: str, highlights: Spans, length: int = SNIPPET) -> Text:
    """The part that has most of the different words highlighted, on one line, with them in bold."""
    line, places = flatten(passage)
    spans = move_spans(highlights, places)
    if len(line) <= length:
        return embolden(line, spans, 0, len(line))
    starts = [0, *(found.end() for found in re.finditer(r"[.!?:;] ", line) if found.end() + length // 2 < len(line))]
    best = max(starts, key=lambda start: (count_words(line, spans, start, find_end(line, start, length)), -start))
    return embolden(line, spans, best, find_end(line, best, length))


def find_end(line: str, start: int, length: int) -> int:
    """Where the last whole word ends."""
    if start + length >= len(line):
        return len(line)
    return start + len(line[start : start + length].rsplit(" ", 1)[0])


def flatten(passage: str) -> tuple[str, list[int]]:
    """On one line, without the rules of headings; with the place in the passage of each of its characters."""
    blanked = RULE.sub(lambda rule: " " * len(rule[0]), passage)
    words = list(re.finditer(r"\S+", blanked))
    places = [place for word in words for place in range(word.start(), word.end() + 1)]  # a space after each
    return " ".join(word[0] for word in words), places[:-1]


def move_spans(highlights: Spans, places: Sequence[int]) -> list[tuple[int, int]]:
    """To where those characters stand on the line."""
    where = {place: index for index, place in enumerate(places)}
    return [(where[start], where[end - 1] + 1) for start, end in highlights if start in where and end - 1 in where]


def count_words(line: str, spans: Spans, start: int, end: int) -> int:
    return len({line[first:last].casefold() for first, last in spans if start <= first and last <= end})


def embolden(line: str, spans: Spans, start: int, end: int) -> Text:
    shown = Text("… " if start else "")
    offset = len(shown) - start
    shown.append(line[start:end])
    for first, last in spans:
        if start <= first < end:
            shown.stylize(MATCH, first + offset, min(last, end) + offset)
    return shown.append(" …") if end < len(line) else shown


def cut_beginning(passage: str, length: int = SNIPPET) -> str:
    line, _ = flatten(passage)
    return line if len(line) <= length else f"{line[: find_end(line, 0, length)]} …"


def cut_end(passage: str, length: int = SNIPPET) -> str:
    line, _ = flatten(passage)
    return line if len(line) <= length else f"… {line[-length:].split(' ', 1)[-1]}"
