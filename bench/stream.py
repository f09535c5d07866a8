"""An NDJSON stream of many small lines: the memory of the service while it lasts, and how fast it goes.

    python -m bench.stream [--count 1000000] [--export]

The sender reads nothing before everything is sent, as httpx and requests do: the answers wait on disk. Memory is the
resident set of each process of the service, Postgres left out, read every second. What the first documents load (the
model, the statements) is part of the growth.
"""

import argparse
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import run_bench
from ragstore.client import Client
from ragstore.client.location import read_server_file
from ragstore.collection.schemas import CollectionCreate

COLLECTION = "lines"


def list_processes(parent: int) -> list[int]:
    """The service's own: the parent and its workers."""
    found = [parent]
    for one in Path("/proc").glob("[0-9]*"):
        try:
            fields = (one / "stat").read_text().rpartition(")")[2].split()
            name = (one / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and b"postgres" not in name:
            found.append(int(one.name))
    return found


def read_rss(process: int) -> float:
    """MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@dataclass
class Watch:
    """Reads the memory of processes every second while its block lasts."""

    processes: list[int]
    start: dict[int, float] = field(default_factory=dict)
    peak: dict[int, float] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self.start = {one: read_rss(one) for one in self.processes}
        self.peak = dict(self.start)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self) -> None:
        while not self.ended.wait(1):
            for one in self.processes:
                self.peak[one] = max(self.peak[one], read_rss(one))

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.thread.join()

    def show(self, what: str) -> None:
        start, peak = sum(self.start.values()), sum(self.peak.values())
        print(f"{what}: RSS {start:.0f} MB at the start, {peak:.0f} MB at most: {peak - start:+.0f} MB", flush=True)


def make_lines(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield b'{"key": "line-%d", "content": "A small line, the one with number %d."}\n' % (number, number)


def import_all(client: Client, count: int) -> None:
    began = time.perf_counter()
    answers = client.import_lines(COLLECTION, make_lines(count))
    answered = sum(1 for _ in answers)
    seconds = time.perf_counter() - began
    print(f"{count:,} lines, {answered:,} answered, {seconds:.0f} s: {count / seconds:,.0f} lines/s", flush=True)


def export_all(client: Client) -> None:
    began = time.perf_counter()
    size = sum(len(line) + 1 for line in client.export_lines(COLLECTION))
    seconds = time.perf_counter() - began
    print(f"exported {size / 1e6:,.0f} MB in {seconds:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--export", action="store_true", help="read everything back, with vectors")
    arguments = parser.parse_args()
    with run_bench() as bench, Client(bench.address.url, bench.address.api_key) as client:
        server = read_server_file(bench.data_dir)
        assert server is not None
        client.create_collection(CollectionCreate(COLLECTION))
        processes = [one for one in list_processes(server.pid) if one != os.getpid()]
        with Watch(processes) as watch:
            import_all(client, arguments.count)
        watch.show("import")
        if arguments.export:
            with Watch(processes) as watch:
                export_all(client)
            watch.show("export")


if __name__ == "__main__":
    main()
