"""A child that does what hostile files make libraries do: the file says what."""

import ctypes
import os
import sys
import time
from collections.abc import Callable

from ragstore.parsing import child, reading
from ragstore.parsing.parsed import ParsedFile


def spin() -> None:
    while True:
        pass


def show() -> str:
    return f"{os.getpid()} {sorted(os.environ)}"


def write(path: str) -> str:
    try:
        with open(path, "wb") as file:
            file.write(b"x" * 100)
    except OSError as error:
        return str(error.strerror)
    return "written"


def chatter() -> None:
    os.write(1, b"noise")
    print("noise")  # noqa: T201  # what libraries do


DEEDS: dict[bytes, Callable[[], object]] = {
    b"abort": os.abort,
    b"segfault": lambda: ctypes.string_at(0),
    b"exit": lambda: sys.exit(3),
    b"hang": lambda: time.sleep(1000),
    b"spin": spin,
    b"eat": lambda: bytearray(8 * 1024**3),
    b"print": chatter,
    b"pid": show,
}


def read_file(name: str, data: bytes) -> ParsedFile:
    done = write(name) if data == b"write" else DEEDS.get(data, lambda: None)()
    return ParsedFile(done, "text/plain") if isinstance(done, str) else reading.read_file(name, data)


if __name__ == "__main__":
    vars(child)["read_file"] = read_file
    child.main()
