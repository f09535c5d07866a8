"""Recall and speed of the binary codes: `python bench/codes.py DIR`.

DIR holds `retrieval/scifact/{corpus,queries}.jsonl` (embedded with the local model here) and
`vectors/{vectors_1536.npy,texts.jsonl}` (OpenAI vectors, a `model` per row; every tenth row asks, the others answer).
Recall is the share of the true cosine top 10 among the best N by Hamming distance. Each part is skipped if missing.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragstore.embedding.codes import encode, encode_one
from ragstore.embedding.local import LocalEmbedder

Vectors = NDArray[np.float32]
TOP = 10
CANDIDATES = (40, 100, 200)


def read_lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def true_top(queries: Vectors, vectors: Vectors) -> NDArray[np.intp]:
    similarity = queries @ vectors.T
    similarity /= np.linalg.norm(vectors, axis=1)
    return np.argsort(-similarity, axis=1, kind="stable")[:, :TOP]


def code_order(query: NDArray[np.uint8], codes: NDArray[np.uint8]) -> NDArray[np.intp]:
    distances = np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int32)
    return np.argsort(distances, kind="stable")


def print_recall(name: str, queries: Vectors, vectors: Vectors) -> None:
    for label, make in (("rotated", encode), ("plain signs", lambda rows: np.packbits(rows > 0, axis=1))):
        query_codes, codes = make(queries), make(vectors)
        found = dict.fromkeys(CANDIDATES, 0)
        for query_code, wanted in zip(query_codes, true_top(queries, vectors), strict=True):
            order = code_order(query_code, codes)
            for count in CANDIDATES:
                found[count] += len(np.intersect1d(order[:count], wanted))
        shares = "   ".join(f"best {count}: {found[count] / (TOP * len(queries)):.4f}" for count in CANDIDATES)
        print(f"{name:34} {len(vectors):6} vectors {len(queries):5} queries   {label:11}   {shares}")


def best_seconds(work: Callable[[], object], rounds: int = 5) -> float:
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def print_speed(vectors: Vectors) -> None:
    batch = vectors[:5000]
    singles = vectors[:1000]
    print(f"codes, batch of {len(batch)}: {len(batch) / best_seconds(lambda: encode(batch)):,.0f} vectors/s")
    one = best_seconds(lambda: [encode_one(vector) for vector in singles]) / len(singles)
    print(f"code of one query: {one * 1e6:.0f} µs")


def measure_local(folder: Path) -> None:
    embedder = LocalEmbedder()
    embedder.load()
    texts = [f"{row['title']}\n\n{row['text']}" for row in read_lines(folder / "corpus.jsonl")]
    questions = [row["text"] for row in read_lines(folder / "queries.jsonl")]
    started = time.perf_counter()
    vectors = embedder.embed(texts)
    print(f"local model: {len(texts) / (time.perf_counter() - started):,.0f} passages/s")
    one = best_seconds(lambda: [embedder.embed([question]) for question in questions]) / len(questions)
    print(f"local model, one query: {one * 1e6:.0f} µs")
    print_recall("scifact, local (256 dimensions)", embedder.embed(questions), vectors)
    print_speed(vectors)


def measure_openai(folder: Path) -> None:
    vectors: Vectors = np.load(folder / "vectors_1536.npy").astype(np.float32)
    models = np.array([row["model"] for row in read_lines(folder / "texts.jsonl")])
    asks = np.arange(len(vectors)) % 10 == 7
    for model in sorted(set(models.tolist())):
        print_recall(model, vectors[asks & (models == model)], vectors[~asks & (models == model)])
    print_speed(vectors)


if __name__ == "__main__":
    data = Path(sys.argv[1])
    if (data / "retrieval/scifact").is_dir():
        measure_local(data / "retrieval/scifact")
    if (data / "vectors/vectors_1536.npy").is_file():
        measure_openai(data / "vectors")
