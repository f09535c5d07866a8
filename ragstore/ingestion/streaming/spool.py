"""Answers on their way to a reader who may be slow, or come only when everything was said."""

import asyncio
import tempfile

IN_MEMORY = 256 * 1024  # bytes; what is unread beyond is on disk
PIECE = 64 * 1024


class Spool:
    """One writes, who never waits; one reads. The file has no name: it is gone when it is closed, or the process dies.

    Raises OSError when the disk is full.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  # closed by `close`
        self._written = self._read = 0
        self._ended = False
        self._news = asyncio.Event()

    def write(self, text: bytes) -> None:
        self._file.seek(self._written)
        self._file.write(text)
        self._written += len(text)
        self._news.set()

    def end(self) -> None:
        """Nothing more will be written."""
        self._ended = True
        self._news.set()

    async def read(self) -> bytes:
        """What was written meanwhile, some of it; empty at the end."""
        while self._read == self._written and not self._ended:
            self._news.clear()
            await self._news.wait()
        self._file.seek(self._read)
        piece = self._file.read(PIECE)
        self._read += len(piece)
        if self._read == self._written:  # everything was read: begin anew, so that the file does not grow
            self._file.seek(0)
            self._file.truncate()
            self._read = self._written = 0
        return piece

    def close(self) -> None:
        self._file.close()
