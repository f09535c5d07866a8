"""How far a load is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ragstore.cli.screen import err

LINE_SECONDS = 5.0
Advance = Callable[[int, int], None]


@contextmanager
def show_progress(title: str, total_bytes: int, things: str = "documents") -> Iterator[Advance]:
    """Yields `advance(bytes, things)`; the time left is reckoned from the bytes."""
    show = show_bar if err.is_terminal else show_lines
    with show(title, total_bytes, things) as advance:
        yield advance


@contextmanager
def show_bar(title: str, total_bytes: int, things: str) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn(f"{{task.fields[seen]:,}} {things}"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=err, expand=True) as progress:
        task = progress.add_task(title, total=max(total_bytes, 1), seen=0, rate=0.0)
        begun, done = time.monotonic(), 0

        def advance(size: int, more: int) -> None:
            nonlocal done
            done += more
            rate = done / max(time.monotonic() - begun, 0.001)
            progress.update(task, advance=size, seen=done, rate=rate)

        yield advance
        progress.update(task, completed=max(total_bytes, 1))


@contextmanager
def show_lines(title: str, total_bytes: int, things: str) -> Iterator[Advance]:
    begun = told = time.monotonic()
    done = done_bytes = 0

    def advance(size: int, more: int) -> None:
        nonlocal told, done, done_bytes
        done, done_bytes = done + more, done_bytes + size
        now = time.monotonic()
        if now - told >= LINE_SECONDS:
            told = now
            share = 100 * done_bytes / max(total_bytes, 1)
            err.print(f"{title}: {done:,} {things}, {share:.0f} %, {done / (now - begun):,.0f}/s", soft_wrap=True)

    yield advance
