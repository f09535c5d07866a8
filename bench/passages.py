"""Searching many real passages by words, by meaning and by both.

    python -m bench.passages DIR... [--count 100000] [--queries 300]

The documents of all BEIR folders, repeated with a suffix until there are enough, posted over HTTP; then their queries
of 2 to 12 words, by one client. An index of the codes is built first, as the service does by itself at this size.
"""

import argparse
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

from bench.measure import Caller, describe, post_corpus, read_corpus, read_queries, run_bench

NAME = "passages"
MODES = ("text", "hybrid", "vector")


def repeat_documents(folders: Sequence[Path]) -> Iterator[dict[str, Any]]:
    known = [(folder.name, one) for folder in folders for one in read_corpus(folder)]
    for turn in count():
        for name, one in known:
            content = one["content"] if turn == 0 else f"{one['content']} copy{turn}"
            yield one | {"key": f"{name}/{one['key']}#{turn}", "content": content}


def choose_queries(folders: Sequence[Path], most: int) -> list[str]:
    found = [one for folder in folders for one in read_queries(folder, 10_000) if 2 <= len(one.split()) <= 12]
    random.Random(1).shuffle(found)
    return found[:most]


def wait_for_index(caller: Caller) -> None:
    caller.call("PUT", f"/v1/collections/{NAME}/index", {"mode": "on"})
    while caller.call("GET", f"/v1/collections/{NAME}/index")["state"] != "ready":
        time.sleep(0.5)


def measure(caller: Caller, queries: Sequence[str], mode: str) -> None:
    path, seconds, complete = f"/v1/collections/{NAME}/search", [], 0
    parts: dict[str, list[float]] = {}
    for query in [*queries[:30], *queries]:
        started = time.perf_counter()
        caller.call("POST", path, {"query": query, "mode": mode})
        seconds.append(time.perf_counter() - started)
    for query in queries[:100]:
        found = caller.call("POST", path, {"query": query, "mode": mode, "explain": True})["explain"]
        complete += found["plans"][0]["complete"]
        for part, milliseconds in found["timings"].items():
            parts.setdefault(part, []).append(milliseconds)
    print(describe(f"{mode}, over HTTP, 1 client", seconds[30:]))
    spent = ", ".join(f"{part} {statistics.median(one):.1f}" for part, one in parts.items() if statistics.median(one))
    print(f"    ms by part: {spent}; complete {complete} of {min(len(queries), 100)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=300)
    options = parser.parse_args()
    queries = choose_queries(options.folders, options.queries)
    with run_bench(index_build_quiet=0) as bench:
        caller = Caller(bench.address)
        caller.call("POST", "/v1/collections", {"name": NAME})
        caller.call("PUT", f"/v1/collections/{NAME}/index", {"mode": "off"})
        documents = list(islice(repeat_documents(options.folders), options.count))
        seconds = post_corpus(caller, NAME, documents)
        chunks = caller.call("GET", f"/v1/collections/{NAME}")["chunk_count"]
        print(f"{chunks} passages of {len(documents)} documents posted in {seconds:.0f} s, {chunks / seconds:.0f}/s")
        wait_for_index(caller)
        for mode in MODES:
            measure(caller, queries, mode)


if __name__ == "__main__":
    main()
