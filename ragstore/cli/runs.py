"""Judged queries, asked over HTTP."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ragstore.cli.metrics import rank
from ragstore.client import Client
from ragstore.search.schemas import Hit, Mode

DOCUMENTS = 100
FIRST_TOP_K, LARGEST_TOP_K = 300, 1000
WARM_UP = 3


def find_documents(client: Client, collection: str, query: str, mode: Mode) -> dict[str, float]:
    """At least 100 documents, if the service can find them, each with the score of its best passage."""
    top_k = FIRST_TOP_K
    while True:
        hits = client.search(collection, query, mode=mode, top_k=top_k).hits
        scores = score_documents(hits)
        if len(scores) >= DOCUMENTS or len(hits) < top_k or top_k == LARGEST_TOP_K:
            return scores
        top_k = LARGEST_TOP_K


def score_documents(hits: Iterable[Hit]) -> dict[str, float]:
    scores: dict[str, float] = {}
    for hit in hits:
        scores[hit.document_key] = max(hit.score, scores.get(hit.document_key, hit.score))
    return scores


def run_queries(
    client: Client, collection: str, queries: Mapping[str, str], mode: Mode, advance: Callable[[int, int], None]
) -> dict[str, dict[str, float]]:
    run = {}
    for name, text in queries.items():
        run[name] = find_documents(client, collection, text, mode)
        advance(1, 1)
    return run


def time_queries(client: Client, collection: str, queries: Iterable[str], mode: Mode) -> list[float]:
    """Milliseconds of each query as a user sees them: one at a time over HTTP, ten hits."""
    asked = list(queries)
    milliseconds = []
    for query in [*asked[:WARM_UP], *asked]:
        begun = time.perf_counter()
        client.search(collection, query, mode=mode, top_k=10)
        milliseconds.append((time.perf_counter() - begun) * 1000)
    return milliseconds[-len(asked) :]


def write_run(path: Path, run: Mapping[str, Mapping[str, float]]) -> None:
    """`qid docid rank score` lines, tabs between: ids may hold spaces."""
    with path.open("w", encoding="utf-8") as file:
        for query, scores in run.items():
            for position, document in enumerate(rank(scores)[:DOCUMENTS], start=1):
                file.write(f"{query}\t{document}\t{position}\t{scores[document]!r}\n")
