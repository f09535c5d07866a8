"""One import over HTTP: the body is read, stored and answered at once, each at its own pace."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from ragstore.errors import InternalError, RagstoreError, StorageFull, Unavailable
from ragstore.ingestion.streaming.reading import Reader
from ragstore.ingestion.streaming.schemas import ImportDone, ImportStopped, LineResult, Resumed, StreamFault
from ragstore.ingestion.streaming.service import Importer
from ragstore.ingestion.streaming.spool import Spool

Send = Callable[[Any], Awaitable[None]]
LINGER = 2.0  # seconds a sender is listened to after the answer: one that only sends would see a broken connection

log = structlog.get_logger(__name__)
encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class StreamLimits:
    """Of this process: the bytes of a line, and the event that is set when the service ends."""

    longest_line: int
    stopping: asyncio.Event


class Exchange:
    """`stopping` is set when the service ends. With `only_failures` the other lines are counted only.

    Reading, storing and writing are tasks of their own: a client may send everything before it reads anything, and
    what it does not read waits in a file.
    """

    def __init__(
        self, importer: Importer, reader: Reader, send: Send, stopping: asyncio.Event, *, only_failures: bool
    ) -> None:
        self.importer = importer
        self.reader = reader
        self.send = send
        self.stopping = stopping
        self.only_failures = only_failures
        self.spool = Spool()
        self.fault: RagstoreError | None = None

    async def run(self) -> None:
        """Ends when everything is answered, or nobody is there to be answered; the batch at hand is stored first."""
        if lines := self.importer.position.counts.lines:
            self._answer(Resumed(lines))
        storing = asyncio.create_task(self._store())
        writing = asyncio.create_task(self._write())
        others = [asyncio.create_task(one) for one in (self.reader.run(), self._heed_stop(), self._heed_leaving())]
        leaving = others[-1]
        try:
            await asyncio.wait({storing})
            self.spool.end()
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
        finally:
            await end([storing, writing, *others])
            self.spool.close()
            await asyncio.shield(self.importer.close())

    async def _store(self) -> None:
        while not self.importer.halt.is_set():
            batch = await self.reader.batches.get()
            if batch is None or self.importer.halt.is_set():
                break
            try:
                for one in await self.importer.store(batch):
                    self._answer(one)
            except RagstoreError as error:
                return self._stop(error)
            except OSError as error:
                log.error("answers have no room", error=str(error))
                return self._stop(StorageFull("There is no room for the answers."))
            except Exception as error:
                log.error("an import failed", error=type(error).__name__, exc_info=error)
                return self._stop(InternalError())
        self.fault = self.fault or self.reader.fault
        return None

    def _answer(self, line: LineResult | Resumed) -> None:
        if not (self.only_failures and isinstance(line, LineResult) and line.status != "failed"):
            self.spool.write(encode(line) + b"\n")

    def _stop(self, error: RagstoreError | None) -> None:
        """After the batch at hand."""
        self.fault = self.fault or error
        self.importer.halt.set()
        self.reader.begun.set()
        with contextlib.suppress(asyncio.QueueFull):  # then nobody waits for a batch
            self.reader.batches.put_nowait(None)

    async def _heed_stop(self) -> None:
        await self.stopping.wait()
        self._stop(Unavailable("The service is stopping.", retry_after=1))

    async def _heed_leaving(self) -> None:
        await self.reader.left.wait()
        self._stop(None)

    async def _write(self) -> None:
        await self.reader.begun.wait()
        headers = [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store")]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        while piece := await self.spool.read():
            await self._send(piece)
        await self._send(encode(self._sum_up()) + b"\n")
        await self._linger()
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, piece: bytes) -> None:
        await self.send({"type": "http.response.body", "body": piece, "more_body": True})

    def _sum_up(self) -> ImportDone | ImportStopped:
        counts = self.importer.position.counts
        if self.fault is None:
            return ImportDone(True, **msgspec.structs.asdict(counts))
        fault = StreamFault(self.fault.type(), self.fault.status, self.fault.detail, self.fault.retry_after)
        return ImportStopped(False, counts.lines, fault)

    async def _linger(self) -> None:
        """Reads over what still comes of a body that is not wanted any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while not self.reader.ended.is_set():
                    await self.reader.batches.get()


async def end(tasks: list[asyncio.Task[None]]) -> None:
    for one in tasks:
        one.cancel()
    for failure in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(failure, Exception):
            log.warning("an import was not answered to its end", error=type(failure).__name__)
