"""Bytes as they arrive, as lines. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Line:
    """`text` is None when the line is longer than may be held. `ended`: a line feed came after it."""

    number: int
    text: bytes | None
    ended: bool = True


class LineSplitter:
    """Holds at most `longest` bytes of a line: the rest of a longer one is read over."""

    def __init__(self, longest: int, after: int = 0) -> None:
        self.longest = longest
        self.number = after
        self._held = bytearray()
        self._too_long = False

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The lines that end in this piece."""
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            self._hold(piece[start:end])
            yield self._cut(ended=True)
            start = end + 1
        self._hold(piece[start:])

    def finish(self) -> Iterator[Line]:
        """The last line, if no line feed came after it."""
        if self._held or self._too_long:
            yield self._cut(ended=False)

    def _hold(self, part: bytes) -> None:
        if self._too_long or len(self._held) + len(part) > self.longest:
            self._too_long = True
            self._held = bytearray()
        else:
            self._held += part

    def _cut(self, *, ended: bool) -> Line:
        self.number += 1
        text = None if self._too_long else bytes(self._held)
        if text is not None and self.number == 1:
            text = text.removeprefix(BYTE_ORDER_MARK)
        self._held, self._too_long = bytearray(), False
        return Line(self.number, text, ended)
