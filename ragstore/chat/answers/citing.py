"""The numbers that an answer cites, found while it is being written. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ragstore.chat.answers.schemas import Citation, Passage

# [1], [1, 2], [1][2], [1-3], and the full-width brackets that some models write
CITED = re.compile(r"[\[【]\s*(\d{1,4}(?:\s*[,;–-]\s*\d{1,4})*)\s*[\]】]")
SEPARATOR = re.compile(r"\s*[,;]\s*")
SPAN = re.compile(r"(\d+)\s*[–-]\s*(\d+)")
LONGEST = 200  # characters between brackets that may still become numbers
WIDEST = 20  # numbers from the first of a span to its last


@dataclass
class CitationReader:
    """`known` passages have the numbers from 1 on. `unknown` are cited numbers behind which nothing stands."""

    known: Sequence[Passage]
    cited: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    waiting: str = ""

    def read(self, piece: str) -> Iterator[Citation]:
        """The passages that are cited for the first time."""
        self.waiting += piece
        last = 0
        for match in CITED.finditer(self.waiting):
            last = match.end()
            yield from self._note(match[1])
        rest = self.waiting[last:]
        begun = max(rest.rfind("["), rest.rfind("【"))
        self.waiting = rest[begun:] if begun >= 0 and len(rest) - begun <= LONGEST else ""

    def list(self) -> list[Citation]:
        """In the order in which they were cited first."""
        return [to_citation(self.known[number - 1]) for number in self.cited]

    def _note(self, numbers: str) -> Iterator[Citation]:
        for number in list_numbers(numbers):
            if not 1 <= number <= len(self.known):
                if number not in self.unknown:
                    self.unknown.append(number)
            elif number not in self.cited:
                self.cited.append(number)
                yield to_citation(self.known[number - 1])


def list_numbers(text: str) -> Iterator[int]:
    for part in SEPARATOR.split(text):
        if span := SPAN.fullmatch(part):
            first, last = int(span[1]), int(span[2])
            yield from range(first, last + 1) if 0 <= last - first < WIDEST else (first, last)
        elif part.isdigit():
            yield int(part)


def to_citation(one: Passage) -> Citation:
    return Citation(
        one.number,
        one.collection,
        one.document_id,
        one.document_key,
        one.chunk_id,
        one.title,
        one.source,
        one.url,
        one.start,
        one.end,
    )
