"""Posting a collection again of which 1 % of the passages were edited: what it takes of the first run's time.

    python -m bench.edits [--chunks 10000] [--each 20]

Documents of `--each` ready passages with the local model; one passage in a hundred is another text the second time, all
documents are posted again. The provider's calls are counted by a test: `tests/ingestion/test_reuse.py`.
"""

import argparse
import time
from typing import Any

from bench.measure import Caller, run_bench

SIZE = 50
SENTENCES = ("Granite cools slowly under the ground.", "Basalt is what lava leaves.", "Slate splits into even sheets.")


def make_documents(chunks: int, each: int, *, edited: bool) -> list[dict[str, Any]]:
    def text(number: int) -> str:
        words = " ".join(f"{SENTENCES[(number + turn) % 3]} Sample {number * 31 + turn}." for turn in range(12))
        return f"Edited. {words}" if edited and number % 100 == 0 else words

    return [
        {
            "key": str(start),
            "title": "Rocks",
            "chunks": [{"content": text(number)} for number in range(start, start + each)],
        }
        for start in range(0, chunks, each)
    ]


def post(caller: Caller, documents: list[dict[str, Any]]) -> tuple[float, int]:
    """Seconds, and how many were not unchanged."""
    started, changed = time.perf_counter(), 0
    for start in range(0, len(documents), SIZE):
        body = {"documents": documents[start : start + SIZE]}
        results = caller.call("POST", "/v1/collections/edits/documents", body)["results"]
        changed += sum(one["status"] != "unchanged" for one in results)
    return time.perf_counter() - started, changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--each", type=int, default=20)
    options = parser.parse_args()
    first, second = (make_documents(options.chunks, options.each, edited=edited) for edited in (False, True))
    with run_bench() as bench:
        caller = Caller(bench.address)
        caller.call("POST", "/v1/collections", {"name": "edits"})
        whole, _ = post(caller, first)
        again, changed = post(caller, second)
        nothing, _ = post(caller, second)
    print(f"{options.chunks} passages in {len(first)} documents: {whole:.1f} s")
    print(f"1 % edited, in {changed} documents: {again:.1f} s, {again / whole:.0%}")
    print(f"nothing edited: {nothing:.1f} s, {nothing / whole:.0%}")


if __name__ == "__main__":
    main()
