"""Documents on their way: vectors to JSON where they fit, and samples kept for the comparison. Pure."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragstore.cli.movers.source import Document, Vector
from ragstore.cli.vectors import encode_vector

SEED = 5  # the same questions in every run
LONGEST_QUESTION = 300  # characters of a text that is asked with


@dataclass(frozen=True)
class Sample:
    """A passage of the store, to ask both sides with."""

    identity: str
    text: str
    vector: Vector | None


class Sampler:
    """Any `size` of the passages that go by, each as likely as the others."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.seen = 0
        self.samples: list[Sample] = []
        self.random = random.Random(SEED)  # noqa: S311 - not a secret

    def offer(self, sample: Sample) -> None:
        self.seen += 1
        if len(self.samples) < self.size:
            self.samples.append(sample)
        elif (place := self.random.randrange(self.seen)) < self.size:
            self.samples[place] = sample


def list_passages(document: Document, passage_field: str | None) -> Iterator[Sample]:
    if "chunks" not in document:
        yield Sample(document["key"], document["content"], document.get("vector"))
        return
    for chunk in document["chunks"]:
        identity = chunk["metadata"][passage_field] if passage_field is not None else document["key"]
        yield Sample(identity, chunk["content"], chunk.get("vector"))


def watch(documents: Iterable[Document], sampler: Sampler, passage_field: str | None) -> Iterator[Document]:
    for document in documents:
        for passage in list_passages(document, passage_field):
            if passage.text.strip():
                sampler.offer(passage)
        yield document


def fit_vectors(documents: Iterable[Document], dimensions: int | None, remarks: Counter[str]) -> Iterator[Document]:
    """Vectors become base64, those of any other width and those without a direction are left out, to be made anew;
    `dimensions` None leaves all of them out.
    """
    for document in documents:
        fitted = fit_part(document, dimensions, remarks)
        if "chunks" in document:
            fitted["chunks"] = [fit_part(chunk, dimensions, remarks) for chunk in document["chunks"]]
        yield fitted


def fit_part(part: dict[str, Any], dimensions: int | None, remarks: Counter[str]) -> dict[str, Any]:
    vector = part.get("vector")
    if vector is None:
        return dict(part)
    without = {name: value for name, value in part.items() if name != "vector"}
    if dimensions is None:
        return without
    fault = find_fault(vector, dimensions)
    if fault is not None:
        remarks[f"vectors {fault}: made anew"] += 1
        return without
    return without | {"vector": encode_vector(vector)}


def find_fault(vector: Vector, dimensions: int) -> str | None:
    if len(vector) != dimensions:
        return f"of {len(vector):,} numbers among those of {dimensions:,}"
    if not np.isfinite(vector).all():
        return "with a number that is infinite or none"
    return None if vector.any() else "of zeros"


def to_question(text: str) -> str:
    """The beginning of a passage, in whole words."""
    words = " ".join(text.split())
    return words if len(words) <= LONGEST_QUESTION else words[:LONGEST_QUESTION].rpartition(" ")[0]
