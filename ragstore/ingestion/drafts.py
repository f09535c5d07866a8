"""Documents to passages on their way: cut by the collection's rule, or as they came. Pure; takes real time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.schemas import Chunking, Metric, Prefix
from ragstore.document.digests import digest_passage
from ragstore.document.passages.service import StoredPassage
from ragstore.document.publishing import Passage
from ragstore.embedding.provider import DIMENSIONS, to_unit_length
from ragstore.embedding.tokens import count_tokens
from ragstore.ingestion.chunking import make_prefix, split_texts
from ragstore.ingestion.outline import make_outline, read_place
from ragstore.ingestion.planning import Candidate
from ragstore.ingestion.ready import Ready


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
    outlines = [make_outline(one.content, one.document.title, chunking, one.origin) for one in to_cut]
    cut = iter(split_texts([one.content for one in to_cut], chunking, outlines))
    drafts: list[Draft] = []
    for one in candidates:
        passages = next(cut) if one.ready is None else list(take_ready(one, one.ready, chunking.prefix))
        one.chunk_count = len(passages)
        given = {} if one.ready is None else one.ready.vectors
        for ordinal, passage in enumerate(passages):
            text = passage.indexed
            drafts.append(Draft(one, ordinal, passage, text, digest_passage(text, given.get(ordinal))))
    set_ready_vectors(drafts, metric)
    return drafts


def take_ready(candidate: Candidate, ready: Ready, rule: Prefix) -> Iterator[Passage]:
    contents = [candidate.content[start:end] for start, end in ready.places]
    for content, tokens, (start, end), metadata in zip(
        contents, count_tokens(contents), ready.places, ready.metadata, strict=True
    ):
        prefix = make_prefix(candidate.document.title, read_place(metadata), rule)
        yield Passage(content, start, end, tokens, metadata, prefix)


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
