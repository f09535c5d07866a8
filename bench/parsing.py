"""How long `/health/live` takes while files of 20 MB are read, against an idle service.

    python -m bench.parsing [--files 6]

A PDF, a spreadsheet and a page of the web, 20 MB each; on an embedded database and a service of its own.
"""

import argparse
import http.client
import io
import random
import threading
import time
import zipfile
from urllib.parse import urlsplit

from bench.measure import run_bench
from ragstore.client import Client, ServiceAddress
from ragstore.collection.schemas import CollectionCreate
from tests.parsing.samples import make_pdf, make_xlsx

SIZE = 20 * 1024 * 1024
PAGES, ROWS = 300, 10_000
PAUSE = 0.01


def make_words(count: int, seed: int) -> str:
    chosen = random.Random(seed)
    return " ".join(f"w{chosen.randrange(5000)}" for _ in range(count))


def make_files() -> dict[str, bytes]:
    line = make_words(12, 1)
    pages = [[(11, f"{number} {line}") for _ in range(30)] for number in range(PAGES)]
    rows = [[f"{number}", line, line] for number in range(ROWS)]
    padding = b"\n% " + b"x" * (SIZE // PAGES)  # a comment of the page's content, which has to be gone through
    return {
        "pages.pdf": make_pdf(pages, extra=padding),
        "rows.xlsx": pad_zip(make_xlsx({"Rows": rows})),
        "page.html": b"<html><body><p>words</p><!--" + b"x" * SIZE + b"--></body></html>",
    }


def pad_zip(content: bytes) -> bytes:
    """Up to 20 MB, with what nobody reads."""
    out = io.BytesIO(content)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("padding.bin", bytes(max(0, SIZE - len(content))))
    return out.getvalue()


class Probe(threading.Thread):
    """One kept-alive connection that asks again and again."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self.seconds: list[float] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(PAUSE):
            started = time.perf_counter()
            self.connection.request("GET", "/health/live")
            self.connection.getresponse().read()
            self.seconds.append(time.perf_counter() - started)

    def finish(self) -> list[float]:
        self.stopping.set()
        self.join()
        return sorted(self.seconds)


def describe(name: str, seconds: list[float]) -> str:
    def at(share: float) -> float:
        return 1000 * seconds[min(len(seconds) - 1, int(share * len(seconds)))]

    return f"{name:<22} {len(seconds):>6} asked   p50 {at(0.5):6.1f} ms   p99 {at(0.99):6.1f} ms   most {at(1):6.1f} ms"


def measure(address: ServiceAddress, client: Client, name: str, content: bytes, times: int) -> str:
    probe = Probe(address.url)
    probe.start()
    started = time.perf_counter()
    outcome = "?"
    for number in range(times):
        result = client.upload_file("docs", f"{number}-{name}", content, wait=False)
        while (job := client.transport.call(dict, "GET", f"/v1/jobs/{result.job}"))["state"] in ("queued", "running"):
            time.sleep(0.2)
        outcome = job["state"] if job["error"] is None else job["error"]["type"].rpartition(":")[2]
    taken = (time.perf_counter() - started) / times
    return f"{describe(name, probe.finish())}   {len(content) / 1e6:.0f} MB in {taken:.1f} s: {outcome}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2, help="of each kind")
    times = parser.parse_args().files
    files = make_files()
    with run_bench() as bench, Client(bench.address.url, bench.address.api_key) as client:
        client.create_collection(CollectionCreate("docs"))
        probe = Probe(bench.address.url)
        probe.start()
        time.sleep(5)
        print(describe("idle", probe.finish()))
        for name, content in files.items():
            print(measure(bench.address, client, name, content, times), flush=True)


if __name__ == "__main__":
    main()
