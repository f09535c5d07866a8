"""What comes out of a file."""

import re
from typing import Any

import msgspec

MOST_WARNINGS = 20
LONGEST_PROPERTY = 500


class ParsedFile(msgspec.Struct):
    """`page_starts[i]` is the offset, in code points of `content`, at which page (slide, sheet) i + 1 begins; empty
    for what has no pages. `markdown`: lines that begin with `#` are headings. `metadata` is what the file says of
    itself.
    """

    content: str
    media_type: str
    title: str | None = None
    page_starts: list[int] = []
    markdown: bool = True
    warnings: list[str] = []
    metadata: dict[str, Any] = {}


SURROGATES = re.compile("[\x00\ud800-\udfff]")


def clean(text: str) -> tuple[str, int]:
    """Postgres holds neither NUL nor half of a surrogate pair: each becomes U+FFFD, so offsets stay. How many."""
    return SURROGATES.subn("\ufffd", text)


def clean_file(parsed: ParsedFile) -> ParsedFile:
    parsed.content, replaced = clean(parsed.content)
    if replaced:
        parsed.warnings.append(f"{replaced} characters that cannot be stored were replaced.")
    parsed.title = clean(parsed.title)[0].strip()[:LONGEST_PROPERTY] or None if parsed.title else None
    parsed.metadata = clean_properties(parsed.metadata)
    parsed.warnings = [clean(one)[0][:LONGEST_PROPERTY] for one in parsed.warnings[:MOST_WARNINGS]]
    return parsed


def clean_properties(given: dict[str, Any]) -> dict[str, Any]:
    """Short texts, numbers and lists of texts only."""
    kept: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, str) and value.strip():
            kept[name] = clean(value)[0].strip()[:LONGEST_PROPERTY]
        elif isinstance(value, int):
            kept[name] = value
        elif isinstance(value, list) and (texts := [one for one in value if isinstance(one, str) and one.strip()]):
            kept[name] = [clean(one)[0].strip()[:LONGEST_PROPERTY] for one in texts[:MOST_WARNINGS]]
    return kept
