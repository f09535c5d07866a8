"""Ctrl-C and SIGTERM of the parent process: the first lets requests finish, the second does not."""

import asyncio
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from granian.server.common import AbstractServer

AnyServer = AbstractServer[Any]


def note_sigterm(tell: Callable[[], object]) -> None:
    """In a worker process, once granian listens: it waits for every answer to end before it tells the application
    anything, so streams that go on for ever have to hear of it by themselves.
    """
    loop = asyncio.get_running_loop()
    earlier = signal.getsignal(signal.SIGTERM)

    def note(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(tell)
        if callable(earlier):
            earlier(number, frame)

    signal.signal(signal.SIGTERM, note)  # the loop reads signals from its wake-up pipe: granian's handler still runs


def stop_on_signals(server: AnyServer) -> None:
    ignores_hangup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # under nohup
    parent = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != parent:  # a forked worker that has not arranged its own handling yet
            if number == signal.SIGTERM:
                os._exit(0)
            return
        if server.interrupt_signal:
            for worker in server.wrks:
                worker.kill()
        server.signal_handler_interrupt()  # type: ignore[no-untyped-call]  # granian

    @server.on_startup  # granian has set its own handlers by then; its hang-up would restart the workers
    def take_over() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignores_hangup else stop)
