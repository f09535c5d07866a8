"""Replaces under readers: is a document ever seen mixed, partly or not at all while it is written anew?

    python -m bench.replaces [--replaces 2000] [--readers 8] [--documents 4] [--fail 0.02]

Every passage says which version of which document it is of. Readers take a document's passages, the document itself,
and searches of all modes held to one document, and check that what they got is one whole version, and no older one than
they had seen before. `--fail`: at this rate the service fails between the statements of a replace (a failpoint), and
the writer sends it again.
"""

import argparse
import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.measure import run_bench
from bench.stamped import CHUNKING, Mixed, Piece, check_pieces, make_content, make_document
from ragstore.failpoints import VARIABLE, Failpoint

COLLECTION = "replaced"
MOST_HITS = 100
MODES = ("vector", "text", "hybrid")
BETWEEN = (Failpoint.DOCUMENTS_WRITTEN, Failpoint.PASSAGES_WRITTEN, Failpoint.COUNTED)


@dataclass
class Trial:
    client: httpx.AsyncClient
    keys: Sequence[str]
    replaces: int
    ids: dict[str, str] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)
    failed_writes: int = 0
    wrong: list[str] = field(default_factory=list)
    over: bool = False

    @property
    def documents(self) -> str:
        return f"/v1/collections/{COLLECTION}/documents"

    async def run(self, readers: int) -> None:
        created = await self.client.post("/v1/collections", json={"name": COLLECTION, "chunking": CHUNKING})
        created.raise_for_status()
        for key in self.keys:
            while not await self.store(key, 0):  # this one too may be failed on purpose
                self.failed_writes += 1
        share = self.replaces // len(self.keys)
        reading = [asyncio.create_task(self.read_on(number)) for number in range(readers)]
        await asyncio.gather(*(self.replace_on(key, share) for key in self.keys))
        self.over = True
        await asyncio.gather(*reading)

    async def replace_on(self, key: str, times: int) -> None:
        for stamp in range(1, times + 1):
            while not self.over and not await self.store(key, stamp):
                self.failed_writes += 1

    async def store(self, key: str, stamp: int) -> bool:
        answer = await self.client.post(self.documents, json={"documents": [make_document(key, stamp)]})
        if answer.status_code == 200:
            self.ids[key] = answer.json()["results"][0]["id"]
        return answer.status_code == 200

    async def read_on(self, number: int) -> None:
        chance = random.Random(number)
        seen: dict[str, int] = {}
        ways: Sequence[Callable[[str], Awaitable[int]]] = (self.read_passages, self.read_document, self.search)
        while not self.over and not self.wrong:
            key = chance.choice(self.keys)
            try:
                stamp = await chance.choice(ways)(key)
                if stamp < seen.get(key, 0):
                    raise Mixed(f"{key} goes back from version {seen[key]} to {stamp}")
                seen[key] = stamp
            except (Mixed, KeyError, httpx.HTTPError) as error:
                self.wrong.append(f"{type(error).__name__}: {error}")

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = await self.client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    async def read_passages(self, key: str) -> int:
        found = await self.ask("GET", f"{self.documents}/{self.ids[key]}/chunks?limit=200")
        self.reads["lists of passages"] += 1
        return check_pieces(key, to_pieces(found["items"]))

    async def read_document(self, key: str) -> int:
        found = await self.ask("GET", f"{self.documents}/{self.ids[key]}")
        self.reads["documents"] += 1
        stamp: int = found["metadata"]["stamp"]
        if found["content"] != make_content(key, stamp) or found["source"] != f"stamp-{stamp}":
            raise Mixed(f"{key} is not what version {stamp} says")
        return stamp

    async def search(self, key: str) -> int:
        mode = MODES[self.reads.total() % len(MODES)]
        body = {
            "query": "key stamp length digest",
            "mode": mode,
            "top_k": MOST_HITS,
            "filter": {"@key": key},
        }
        hits = (await self.ask("POST", f"/v1/collections/{COLLECTION}/search", body))["hits"]
        self.reads[f"searches, {mode}"] += 1
        stamps = {hit["metadata"]["stamp"] for hit in hits} | {int(hit["source"].split("-")[1]) for hit in hits}
        stamp = check_pieces(key, to_pieces(hits))
        if stamps != {stamp}:
            raise Mixed(f"{key}: passages of version {stamp} with the metadata of {stamps}")
        return stamp


def to_pieces(rows: Sequence[dict[str, Any]]) -> list[Piece]:
    return [Piece(one["content"], one["start"], one["end"]) for one in rows]


def fail_between(chance: float) -> str:
    return ",".join(f"{name}=raise@{chance:.6f}" for name in BETWEEN) if chance else ""


async def try_service(url: str, key: str, given: argparse.Namespace) -> Trial:
    limits = httpx.Limits(max_connections=given.readers + given.documents)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits) as client:
        trial = Trial(client, [f"d{number}" for number in range(given.documents)], given.replaces)
        await trial.run(given.readers)
        return trial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replaces", type=int, default=2000)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--documents", type=int, default=4, help="each with a writer of its own")
    parser.add_argument("--fail", type=float, default=0.02)
    given = parser.parse_args()
    os.environ[VARIABLE] = fail_between(given.fail)
    with run_bench() as bench:
        began = time.perf_counter()
        trial = asyncio.run(try_service(bench.address.url, bench.address.api_key, given))
        seconds = time.perf_counter() - began
    for name, count in sorted(trial.reads.items()):
        print(f"{name:<24} {count:>8,}")
    print(f"{given.replaces:,} replaces in {seconds:.0f} s, {trial.failed_writes} that failed were sent again")
    print(f"{trial.reads.total():,} reads by {given.readers} readers: {len(trial.wrong)} mixed, partial or empty")
    for one in trial.wrong[:10]:
        print("VIOLATION:", one)
    raise SystemExit(1 if trial.wrong else 0)


if __name__ == "__main__":
    main()
