"""A child that does what hostile files make libraries do: the file says what."""

import ctypes
import os
import sys
import time

from ragstore.parsing import child, reading
from ragstore.parsing.parsed import ParsedFile


def read_file(name: str, data: bytes) -> ParsedFile:
    match data.decode():
        case "abort":
            os.abort()
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            sys.exit(3)
        case "hang":
            time.sleep(1000)
        case "spin":
            while True:
                pass
        case "eat":
            return ParsedFile("x" * len(bytearray(8 * 1024**3)), "text/plain")
        case "print":
            os.write(1, b"noise")
            print("noise")  # noqa: T201  # what libraries do
        case "write":
            with open("/tmp/ragstore-hostile", "wb") as file:  # never gets there
                file.write(b"x" * 100)
        case "pid":
            return ParsedFile(f"{os.getpid()} {sorted(os.environ)}", "text/plain")
    return reading.read_file(name, data)


if __name__ == "__main__":
    child.read_file = read_file
    child.main()
