"""On which page and under which headings a passage stands. Pure."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragstore.collection.schemas import Chunking
from ragstore.ingestion.origins import Origin
from ragstore.ingestion.structure import Mark, read_marks


@dataclass(frozen=True)
class Place:
    """`page_end` is there when a passage ends on a later page than it begins on."""

    page: int | None = None
    page_end: int | None = None
    headings: tuple[str, ...] = ()

    def to_metadata(self) -> dict[str, Any]:
        said = {"page": self.page, "page_end": self.page_end, "heading": " > ".join(self.headings) or None}
        return {name: value for name, value in said.items() if value is not None}


def read_place(metadata: Mapping[str, Any]) -> Place:
    """What a passage's own metadata tells of its headings."""
    heading = metadata.get("heading")
    return Place(headings=tuple(heading.split(" > ")) if isinstance(heading, str) and heading else ())


@dataclass(frozen=True)
class Outline:
    """`markdown`: headings are read from the content."""

    content: str
    title: str | None = None
    page_starts: Sequence[int] = ()
    markdown: bool = False

    def locate(self, spans: Sequence[tuple[int, int]]) -> list[Place]:
        """Of passages by start and end, in the order of their starts. One that begins with a heading stands under it.

        Headings are read along with the passages, not kept: a hostile text has millions.
        """
        headings = (mark for mark in read_marks(self.content) if mark.kind == "heading") if self.markdown else iter(())
        return [
            Place(*find_pages(self.page_starts, start, end), path)
            for (start, end), path in zip(spans, follow(headings, [start for start, _ in spans]), strict=True)
        ]


def make_outline(content: str, title: str | None, chunking: Chunking, origin: Origin | None = None) -> Outline:
    """Plain text with a `#` is not Markdown: headings are read when the rule asks for them or the file had them."""
    wanted = chunking.strategy == "markdown" or chunking.prefix == "heading"
    if origin is None:
        return Outline(content, title, markdown=wanted)
    return Outline(content, title, origin.page_starts, wanted or origin.markdown)


def follow(headings: Iterator[Mark], starts: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """The headings above each start, which rise."""
    stack: list[Mark] = []
    path: tuple[str, ...] = ()
    following = next(headings, None)
    for start in starts:
        moved = False
        while following is not None and following.start <= start:
            while stack and stack[-1].level >= following.level:
                stack.pop()
            stack.append(following)
            following, moved = next(headings, None), True
        if moved:
            path = tuple(mark.text for mark in stack)
        yield path


def find_pages(page_starts: Sequence[int], start: int, end: int) -> tuple[int | None, int | None]:
    page = bisect_right(page_starts, start)
    last = bisect_right(page_starts, end - 1)
    return (page or None), (last if last > page else None)
