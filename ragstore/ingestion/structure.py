"""Where the headings, blocks and code fences of a Markdown text begin. Pure; linear time for any text."""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

LONGEST_HEADING = 200  # characters
LONGEST_LINE = 2000  # characters of a heading's source that are looked at

FENCE = re.compile(r"[ \t]*(`{3,}+(?!.*`)|~{3,})")
HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
RULE = re.compile(r" {0,3}(?:(?:-[ \t]*+){3,}|(?:\*[ \t]*+){3,}|(?:_[ \t]*+){3,})$")  # a line across the page
INDENTED = re.compile(r" {4}| *\t")
NO_PARAGRAPH = re.compile(r" {0,3}(?:[>|<]|(?:[-*+]|#{1,6}|\d{1,9}[.)])(?:[ \t]|$))")
FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(?=[A-Za-z_][\w-]*[ \t]*:)")
FRONT_MATTER_END = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)

LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
EMPHASIS = re.compile(r"\*(\S[^*]*)\*")
ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


class Mark(NamedTuple):
    """The line at `start` is a heading, begins a block that is not the first under a heading, or opens a fence;
    `close` is the line after a fence. `text` is what a heading says, or the fence's characters.
    """

    start: int
    kind: Literal["heading", "block", "fence", "close"]
    level: int = 0
    text: str = ""


def read_marks(text: str, start: int = 0, end: int | None = None) -> Iterator[Mark]:
    """In order, of the part of the text between two offsets, which does not begin within a fence."""
    fence = ""
    begins, headed = True, False  # a block: after an empty line, a heading or a fence; it is the first under a heading
    paragraph: int | None = None  # where the paragraph began that this line goes on
    for at, after, line in read_lines(text, start, len(text) if end is None else end):
        line = line.rstrip("\r\n")
        words = line.strip()
        if fence:
            if closes(words, fence):
                fence, begins = "", True
                yield Mark(after, "close")
        elif not words:
            begins, paragraph = True, None
        elif found := read_line(text, line, words[0], at, paragraph):
            yield found
            fence = found.text if found.kind == "fence" else ""
            begins, headed, paragraph = True, found.kind == "heading", None
        else:
            if begins and not headed and not RULE.match(line):
                yield Mark(at, "block")
            paragraph = find_paragraph(line, at, paragraph, begins)
            over = RULE.match(line) or (begins and INDENTED.match(line))  # a block of its own
            begins, headed = bool(over), False


def find_paragraph(line: str, at: int, paragraph: int | None, begins: bool) -> int | None:
    """Where the paragraph began that this line is of, if it is of one."""
    if NO_PARAGRAPH.match(line) or RULE.match(line):
        return None
    if begins:
        return None if INDENTED.match(line) else at
    return paragraph


def read_lines(text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Where each begins and ends, and its beginning."""
    if start == 0 and (opening := FRONT_MATTER.match(text)) and (found := FRONT_MATTER_END.search(text, opening.end())):
        start = min(found.end(), end)
    while start < end:
        newline = text.find("\n", start, end)
        after = end if newline < 0 else newline + 1
        yield start, after, text[start : min(after, start + LONGEST_LINE)]
        start = after


def read_line(text: str, line: str, first: str, at: int, paragraph: int | None) -> Mark | None:
    if first == "#" and (found := HEADING.match(line.rstrip())):
        said = clean_heading(drop_closing(found[2] or ""))
        return Mark(at, "heading", len(found[1]), said) if said else None
    if first in "`~" and (found := FENCE.match(line)):
        return Mark(at, "fence", text=found[1])
    if first in "=-" and paragraph is not None and UNDERLINE.match(line):
        said = clean_heading(text[paragraph : min(at, paragraph + LONGEST_LINE)])
        return Mark(paragraph, "heading", 1 if first == "=" else 2, said)
    return None


def closes(words: str, fence: str) -> bool:
    return words.startswith(fence) and not words.strip(fence[0])


def drop_closing(heading: str) -> str:
    """`## Install ##` says Install; `## C#` says C#."""
    rest = heading.rstrip().rstrip("#")
    return rest if not rest or rest[-1] in " \t" else heading


def clean_heading(source: str) -> str:
    """As it reads: without the marks of links, emphasis and code."""
    said = EMPHASIS.sub(r"\1", LINK.sub(r"\1", source).replace("**", "").replace("`", ""))
    said = " ".join(ESCAPE.sub(r"\1", said).split())
    return said if len(said) <= LONGEST_HEADING else said[: LONGEST_HEADING - 1] + "…"


def find_fence_end(text: str, start: int, fence: str) -> int:
    """Where the line after it begins, of the fence that opens at `start`."""
    closing = re.compile(rf"^[ \t]*{re.escape(fence)}{fence[0]}*[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
    opening = text.find("\n", start)
    found = closing.search(text, opening + 1) if opening >= 0 else None
    return found.end() if found else len(text)
