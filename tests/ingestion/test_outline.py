import itertools
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ragstore.collection.schemas import Chunking
from ragstore.ingestion.chunking import split_texts
from ragstore.ingestion.origins import Origin
from ragstore.ingestion.outline import Outline, make_outline
from ragstore.ingestion.structure import LONGEST_HEADING, read_marks

GUIDE = """---
title: not a heading
---
Before.

# Guide

Intro.

## Install `it` ##

```
# not a heading
```

Run *this*
and that
---

Text.

### [Deeper](https://x.y) C#

Deep.

Other
=====

- item
---
"""


def headings(text: str) -> list[tuple[int, str]]:
    return [(mark.level, mark.text) for mark in read_marks(text) if mark.kind == "heading"]


def test_headings_are_read_as_markdown_means_them() -> None:
    assert headings(GUIDE) == [
        (1, "Guide"),
        (2, "Install it"),
        (2, "Run this and that"),
        (3, "Deeper C#"),
        (1, "Other"),
    ]
    assert headings("#no\n\n#\n\n    # code\n\n| a\n---\n\n> # said") == []
    ((_, long),) = headings("# " + "word " * 1000)
    assert len(long) <= LONGEST_HEADING


LINES = st.sampled_from(
    ["# A", "## B ##", "text", "", "===", "---", "***", "```", "~~~~", "    # x", "> q", "#x", "####### y"]
)


@settings(max_examples=300, deadline=None, derandomize=True)  # what lists and quotes hold is not read as a parser does
@given(st.lists(LINES, max_size=12))
def test_headings_are_those_of_a_parser(lines: list[str]) -> None:
    text = "\n".join(lines)
    tokens = MarkdownIt("commonmark").parse(text)
    pairs = [(one, two) for one, two in itertools.pairwise(tokens) if one.type == "heading_open" and one.level == 0]
    expected = [(int(one.tag[1]), " ".join(two.content.split())) for one, two in pairs if two.content]
    assert headings(text) == expected


@pytest.mark.parametrize(
    ("inside", "path"),
    [("Before", ()), ("# Guide", ("Guide",)), ("Intro", ("Guide",)), ("not a heading\n```", ("Guide", "Install it")),
     ("Text.", ("Guide", "Run this and that")), ("Deep.", ("Guide", "Run this and that", "Deeper C#")),
     ("item", ("Other",))],
)  # fmt: skip
def test_a_passage_stands_under_the_headings_above_it(inside: str, path: tuple[str, ...]) -> None:
    start = GUIDE.index(inside)
    (place,) = Outline(GUIDE, markdown=True).locate([(start, start + 1)])
    assert place.headings == path
    (plain,) = Outline(GUIDE).locate([(start, start + 1)])
    assert plain.to_metadata() == {}


def test_pages_are_counted_from_one_and_a_passage_may_end_on_a_later_one() -> None:
    outline = Outline("x" * 40, page_starts=[5, 10, 20, 20, 30])
    places = outline.locate([(0, 5), (5, 10), (9, 11), (20, 31), (30, 40)])
    assert [place.to_metadata() for place in places] == [
        {}, {"page": 1}, {"page": 1, "page_end": 2}, {"page": 4, "page_end": 5}, {"page": 5},
    ]  # fmt: skip


def test_headings_are_read_when_the_rule_asks_for_them_or_the_file_had_them() -> None:
    plain, file = Chunking(), Origin(uuid.uuid4(), [0, 9])
    assert not make_outline("# a", None, plain).markdown
    assert make_outline("# a", None, Chunking(strategy="markdown")).markdown
    assert make_outline("# a", None, Chunking(prefix="heading")).markdown
    assert make_outline("# a", None, plain, file).markdown
    assert make_outline("# a", None, plain, file).page_starts == [0, 9]
    assert not make_outline("a", None, plain, Origin(uuid.uuid4(), markdown=False)).markdown


def test_passages_carry_their_place_and_prefix() -> None:
    rule = Chunking(16, 0, "markdown", "heading")
    text = "# Guide\n\nIntro words here.\n\n## Install\n\n" + "Run it with care. " * 8
    (passages,) = split_texts([text], rule, [Outline(text, "The Guide", [0, 60], markdown=True)])
    assert passages[0].metadata == {"page": 1, "heading": "Guide"}
    assert passages[-1].metadata == {"page": 2, "heading": "Guide > Install"}
    assert passages[-1].prefix == "The Guide\nGuide > Install"
    assert passages[-1].indexed == f"The Guide\nGuide > Install\n\n{passages[-1].content}"


@pytest.mark.parametrize(
    ("prefix", "title", "expected"),
    [("none", "T", ""), ("title", "T", "T"), ("title", None, ""), ("heading", "T", "T\nGuide"),
     ("heading", None, "Guide"), ("heading", "guide", "guide")],
)  # fmt: skip
def test_a_prefix_is_what_the_rule_says(prefix: str, title: str | None, expected: str) -> None:
    rule = Chunking(prefix=prefix)  # type: ignore[arg-type]  # one of the literals
    ((passage,),) = split_texts(["# Guide\n\nx"], rule, [Outline("# Guide\n\nx", title, markdown=True)])
    assert passage.prefix == expected
