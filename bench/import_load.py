"""How much longer do searches take while documents are loaded, and does the service stay awake?

    python -m bench.import_load [--passages 20000] [--searches 300]

One client searches a collection, one query after the other, in the three modes by turns: first while nothing else
happens, then while another process posts documents as fast as it can into another collection, then into the same
one, then idle again. A third client asks /health/live every 10 ms.
"""

import argparse
import multiprocessing
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from typing import Any

from bench.measure import Bench, Caller, run_bench
from ragstore.client.location import ServiceAddress

MODES = ("vector", "text", "hybrid")
ENDS = ("ck", "ll", "nd", "rt", "sh")
VOCABULARY = [f"{start}{vowel}{end}" for start in "bdfglmnprst" for vowel in ("a", "e", "io", "u") for end in ENDS]
WORDS = 60  # of a passage
BATCH = 100
PROBE_SECONDS = 0.01
SLOWEST = 0.99


def make_passage(chance: random.Random) -> str:
    """Words as uneven as those of a language."""
    return " ".join(VOCABULARY[int(len(VOCABULARY) * chance.random() ** 3)] for _ in range(WORDS))


def make_batch(number: int, size: int = BATCH) -> dict[str, Any]:
    chance = random.Random(number)
    return {"documents": [{"key": f"{number}-{one}", "content": make_passage(chance)} for one in range(size)]}


def load_on(address: ServiceAddress, collection: str, stored: "Synchronized[int]") -> None:
    """Until it is ended."""
    caller, number = Caller(address), 1_000_000
    while True:
        caller.call("POST", f"/v1/collections/{collection}/documents", make_batch(number))
        stored.value += BATCH
        number += 1


@contextmanager
def loading(address: ServiceAddress, collection: str) -> Iterator["Synchronized[int]"]:
    context = multiprocessing.get_context("spawn")
    stored = context.Value("i", 0)
    process = context.Process(target=load_on, args=(address, collection, stored), daemon=True)
    process.start()
    while stored.value == 0:
        time.sleep(0.02)
    yield stored
    process.terminate()
    process.join()


@dataclass
class Probe:
    """Whether the event loop answers."""

    address: ServiceAddress
    seconds: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        caller = Caller(self.address)
        while not self.over.wait(PROBE_SECONDS):
            began = time.perf_counter()
            caller.call("GET", "/health/live")
            self.seconds.append(time.perf_counter() - began)


@dataclass
class Phase:
    name: str
    searches: dict[str, list[float]]
    alive: list[float]
    loaded_per_second: float


def search(caller: Caller, collection: str, mode: str, chance: random.Random) -> float:
    query = " ".join(make_passage(chance).split()[:5])
    began = time.perf_counter()
    answer = caller.call("POST", f"/v1/collections/{collection}/search", {"query": query, "mode": mode, "top_k": 10})
    if not answer["hits"]:
        raise SystemExit(f"nothing was found for {query!r}")
    return time.perf_counter() - began


def measure(name: str, bench: Bench, searches: int, stored: "Synchronized[int] | None" = None) -> Phase:
    caller, chance, probe = Caller(bench.address), random.Random(7), Probe(bench.address)
    thread = threading.Thread(target=probe.run)
    thread.start()
    began, before = time.perf_counter(), stored.value if stored is not None else 0
    times: dict[str, list[float]] = {mode: [] for mode in MODES}
    for _ in range(searches):
        for mode in MODES:
            times[mode].append(search(caller, "searched", mode, chance))
    rate = (stored.value - before) / (time.perf_counter() - began) if stored is not None else 0.0
    probe.over.set()
    thread.join()
    return Phase(name, times, probe.seconds, rate)


def slowest(seconds: list[float]) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(SLOWEST * len(seconds)))]


def report(phase: Phase, idle: Phase) -> None:
    parts = []
    for mode, seconds in phase.searches.items():
        ordered = sorted(seconds)
        p50, p99 = ordered[len(ordered) // 2] * 1000, slowest(seconds) * 1000
        parts.append(f"{mode} {p50:6.1f} {p99:7.1f} ms {p99 / (slowest(idle.searches[mode]) * 1000):5.2f} x")
    alive = f"alive p99 {slowest(phase.alive) * 1000:6.1f} ms"
    loaded = f"{phase.loaded_per_second:6.0f} passages/s"
    print(f"{phase.name:<26} {'   '.join(parts)}   {alive}   {loaded}", flush=True)


def run(bench: Bench, passages: int, searches: int) -> None:
    caller = Caller(bench.address)
    for name in ("searched", "other"):
        caller.call("POST", "/v1/collections", {"name": name})
    for number in range(passages // BATCH):
        caller.call("POST", "/v1/collections/searched/documents", make_batch(number))
    time.sleep(5)  # vacuum and folding come after a second of rest
    measure("warm-up", bench, max(searches // 10, 20))
    print(f"{'':<26} p50, p99 and p99 against idle, {searches} searches of each mode")
    idle = measure("idle", bench, searches)
    report(idle, idle)
    for name, collection in (("loading another collection", "other"), ("loading the same one", "searched")):
        with loading(bench.address, collection) as stored:
            report(measure(name, bench, searches, stored), idle)
        time.sleep(3)
    report(measure("idle again", bench, searches), idle)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--searches", type=int, default=300)
    given = parser.parse_args()
    with run_bench() as bench:
        run(bench, given.passages, given.searches)


if __name__ == "__main__":
    main()
