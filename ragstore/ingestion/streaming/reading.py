"""The body of an import as it arrives, in batches of lines."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from ragstore.errors import InternalError, InvalidRequest, RagstoreError, Unprocessable
from ragstore.ingestion.streaming.lines import Line, LineSplitter
from ragstore.ingestion.streaming.parsing import Batch, CutOff, Entry, cut_batches, extend_digest, read_lines
from ragstore.ingestion.streaming.position import Position

Receive = Callable[[], Awaitable[Any]]
MOST_LINES = 200
MOST_BYTES = 1_000_000
PAUSE = 0.2  # seconds without news after which what is there goes on: the sender may be waiting for its answer

log = structlog.get_logger(__name__)


class Reader:
    """Reads on while a batch waits to be stored, and no further: a sender who is faster has to wait.

    `batches` ends with None; `fault` then says why there are no more, if the body was not read to its end. The first
    lines, which `start` says are stored, are read over; so many of them were left out of the body as `after` says.
    """

    def __init__(self, receive: Receive, longest: int, start: Position, after: int) -> None:
        self.batches: asyncio.Queue[Batch | None] = asyncio.Queue(1)
        self.begun, self.ended, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.fault: RagstoreError | None = None
        self._receive = receive
        self._start = start
        self._digest = start.digest if after else Position().digest
        self._splitter = LineSplitter(longest, after)
        self._lines: list[Line] = []
        self._bytes = 0

    async def run(self) -> None:
        """Until nobody is there any more to answer; then `left` is set."""
        try:
            await self._read()
        except CutOff as error:
            self.fault = InvalidRequest(str(error))
        except RagstoreError as error:
            self.fault = error
        except Exception as error:
            log.error("an import could not be read", error=type(error).__name__, exc_info=error)
            self.fault = InternalError()
        self.ended.set()
        await self.batches.put(None)
        while not self.left.is_set():
            await self._hear()

    async def _read(self) -> None:
        hearing: asyncio.Task[Any] | None = None
        more = True
        try:
            while more and not self.left.is_set():
                hearing = hearing or asyncio.create_task(self._hear())
                await asyncio.wait({hearing}, timeout=PAUSE if self._lines else None)
                if not hearing.done():
                    await self._pass_on()
                    continue
                (piece, more), hearing = hearing.result(), None
                for line in self._splitter.feed(piece):
                    await self._take(line)
        finally:
            if hearing is not None:
                hearing.cancel()
        if not self.left.is_set():
            await self._finish()

    async def _hear(self) -> tuple[bytes, bool]:
        """The next piece of the body, and whether there are more."""
        message = await self._receive()
        self.begun.set()
        if message["type"] == "http.disconnect":
            self.left.set()
            return b"", False
        return message.get("body", b""), message.get("more_body", False)

    async def _finish(self) -> None:
        await self._pass_on()  # before the last line, which may be half of one
        for line in self._splitter.finish():
            await self._take(line)
        await self._pass_on()
        if self._splitter.number < self._start.counts.lines:
            raise other_file(self._start, f"ends after line {self._splitter.number}")

    async def _take(self, line: Line) -> None:
        stored = self._start.counts.lines
        if line.number <= stored:
            self._digest = extend_digest(self._digest, line)
            if line.number == stored and self._digest != self._start.digest:
                raise other_file(self._start, "has others")
            return
        self._lines.append(line)
        self._bytes += len(line.text or b"")
        if len(self._lines) >= MOST_LINES or self._bytes >= MOST_BYTES:
            await self._pass_on()

    async def _pass_on(self) -> None:
        if not self._lines:
            return
        lines, self._lines, self._bytes = self._lines, [], 0
        entries = await asyncio.to_thread(self._parse, lines)
        self._digest = entries[-1].digest
        for batch in cut_batches(entries):
            await self.batches.put(batch)

    def _parse(self, lines: Sequence[Line]) -> list[Entry]:
        return list(read_lines(lines, self._digest, self._splitter.longest))


def other_file(start: Position, what: str) -> Unprocessable:
    """A name used again for another file would lose that file's first lines without a word."""
    name = start.held.name if start.held is not None else ""
    return Unprocessable(
        f"{start.counts.lines} lines were stored as {name!r}, and this body {what}: give each file a name of its own."
    )
