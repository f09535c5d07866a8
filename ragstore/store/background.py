"""An event loop on a thread of its own: blocking code uses what is asynchronous, even inside a running loop."""

import asyncio
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType
from typing import Any, Self, TypeVar

Answer = TypeVar("Answer")


class BackgroundLoop:
    """Runs until it is closed, inside `context`, which is entered and left on that loop, in one task.

    Raises what entering `context` raises; `close` raises what leaving it does.
    """

    def __init__(self, context: AbstractAsyncContextManager[Any] | None = None) -> None:
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._ended: Future[None] = Future()
        # a daemon: an interpreter that ends does not wait for a store somebody forgot to close
        self._thread = threading.Thread(
            target=self._work, args=(context or nullcontext(), started), name="ragstore", daemon=True
        )
        self._thread.start()
        self.loop, self._closing = started.result()

    def _work(self, context: AbstractAsyncContextManager[Any], started: "Future[Any]") -> None:
        async def live() -> None:
            closing = asyncio.Event()
            try:
                async with context:
                    started.set_result((asyncio.get_running_loop(), closing))
                    await closing.wait()
            except BaseException as error:  # handed to the thread that waits
                (self._ended if started.done() else started).set_exception(error)

        try:
            asyncio.run(live())
        except RuntimeError:
            # From Python 3.12 an interpreter that ends starts no thread any more, and asyncio wants one to end others.
            if not sys.is_finalizing() and threading.main_thread().is_alive():
                raise
        finally:
            if not self._ended.done():
                self._ended.set_result(None)

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Its answer, when it is there. Ctrl-C here cancels it there."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """What still runs on the loop is cancelled."""
        if self._ended.done():
            return
        self.loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()
        self._ended.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
