"""What exact float search finds with the local model over the same passages: the yardstick for `ragstore eval`.

python -m bench.exact DIR
"""

import argparse
from pathlib import Path

import numpy as np

from bench.measure import read_corpus
from ragstore.cli.judged import read_judged
from ragstore.cli.metrics import measure
from ragstore.collection.schemas import Chunking
from ragstore.embedding.local import LocalEmbedder
from ragstore.ingestion.chunking import split_texts
from ragstore.ingestion.outline import make_outline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    judged, documents, embedder = read_judged(folder), read_corpus(folder), LocalEmbedder()
    outlines = [make_outline(one["content"], one["title"], Chunking()) for one in documents]
    cut = split_texts([one["content"] for one in documents], Chunking(), outlines)
    pairs = [(one, piece) for one, pieces in zip(documents, cut, strict=True) for piece in pieces]
    keys = [one["key"] for one, _ in pairs]
    passages = embedder.embed([piece.indexed for _, piece in pairs])[:, :256]
    run: dict[str, dict[str, float]] = {}
    for query, text in judged.queries.items():
        scores = passages @ embedder.embed([text])[0, :256]
        best: dict[str, float] = {}
        for index in np.argsort(-scores):  # a document's score is its best passage's
            best.setdefault(keys[index], float(scores[index]))
            if len(best) == 100:
                break
        run[query] = best
    print(f"{len(documents)} documents, {len(passages)} passages, {len(run)} queries")
    for name, value in measure(judged.qrels, run).items():
        print(f"{name:<12} {value:.4f}")


if __name__ == "__main__":
    main()
