"""Documents to passages on their way: cut by the collection's rule, or as they came. Pure; takes real time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.schemas import Chunking, Metric
from ragstore.document.digests import digest_passage
from ragstore.document.passages.service import StoredPassage
from ragstore.document.publishing import Passage
from ragstore.embedding.provider import DIMENSIONS, to_unit_length
from ragstore.embedding.tokens import count_text
from ragstore.ingestion.chunking import split_texts
from ragstore.ingestion.planning import Candidate
from ragstore.ingestion.ready import Ready
from ragstore.ingestion.texts import compose_text


@dataclass
class Draft:
    """A passage on its way. It gets one of: `vector`, the stored passage that is `kept`, or why it is `refused`."""

    candidate: Candidate
    ordinal: int
    passage: Passage
    text: str
    digest: bytes
    vector: NDArray[np.float32] | None = None
    kept: StoredPassage | None = None
    refused: str | None = None

    @property
    def is_open(self) -> bool:
        return self.vector is None and self.kept is None and self.refused is None


def draft_passages(candidates: Sequence[Candidate], chunking: Chunking, metric: Metric) -> list[Draft]:
    """In the order of the candidates, and in each of its content."""
    to_cut = [one for one in candidates if one.ready is None]
    cut = iter(split_texts([one.content for one in to_cut], chunking))
    drafts: list[Draft] = []
    for one in candidates:
        passages = next(cut) if one.ready is None else list(take_ready(one.content, one.ready))
        one.chunk_count = len(passages)
        given = {} if one.ready is None else one.ready.vectors
        for ordinal, passage in enumerate(passages):
            text = compose_text(one.document.title, passage, chunking)
            drafts.append(Draft(one, ordinal, passage, text, digest_passage(text, given.get(ordinal))))
    set_ready_vectors(drafts, metric)
    return drafts


def take_ready(content: str, ready: Ready) -> Iterator[Passage]:
    for (start, end), metadata in zip(ready.places, ready.metadata, strict=True):
        passage = content[start:end]
        yield Passage(passage, start, end, count_text(passage), metadata)


def set_ready_vectors(drafts: Sequence[Draft], metric: Metric) -> None:
    """As a provider's: padded to 1536, and where only the direction counts of length 1."""
    given = [
        (one, one.candidate.ready.vectors[one.ordinal])
        for one in drafts
        if one.candidate.ready is not None and one.ordinal in one.candidate.ready.vectors
    ]
    vectors = np.zeros((len(given), DIMENSIONS), dtype=np.float32)
    for row, (_, vector) in zip(vectors, given, strict=True):
        row[: len(vector)] = vector
    if metric == "cosine":
        vectors = to_unit_length(vectors)
    for (one, _), row in zip(given, vectors, strict=True):
        one.vector = row
