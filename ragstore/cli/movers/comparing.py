"""The same questions to the old store and to the new one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ragstore.cli.movers.fitting import Sample, to_question
from ragstore.cli.movers.source import Source
from ragstore.cli.vectors import MOST_NUMBERS, encode_vector
from ragstore.client import Client
from ragstore.search.schemas import Hit, SearchResults

TOP_K = 10
PASSAGES = 50
MODEL_SAMPLES = 5


@dataclass(frozen=True)
class Comparison:
    """`overlap` is the mean share of the old store's first ten that is among the new one's; None: nothing to ask."""

    asked: int
    overlap: float | None
    identical: int


def compare(source: Source, client: Client, collection: str, samples: Sequence[Sample], *, reused: bool) -> Comparison:
    """By the stored vectors where both have them, else by the beginnings of the texts."""
    shares: list[float] = []
    identical = 0
    for sample in samples:
        before = ask_source(source, sample)
        if not before:
            continue  # it is alone in its store
        after = ask_here(client, collection, source.passage_field, sample, reused)
        shares.append(len(set(before) & set(after)) / len(before))
        identical += before == after
    return Comparison(len(shares), sum(shares) / len(shares) if shares else None, identical)


def ask_source(source: Source, sample: Sample) -> list[str]:
    asked = to_question(sample.text) if sample.vector is None else sample.vector
    return leave_out(source.search(asked, TOP_K + 1), sample)


def ask_here(client: Client, collection: str, passage_field: str | None, sample: Sample, reused: bool) -> list[str]:
    """More than ten passages: of a document that was cut anew several may be near."""
    if sample.vector is None:
        found = client.search(collection, to_question(sample.text), top_k=PASSAGES)
    elif reused:
        vector = encode_vector(np.pad(sample.vector, (0, MOST_NUMBERS - len(sample.vector))))
        found = client.search(collection, vector=vector, mode="vector", top_k=PASSAGES)
    else:
        found = client.search(collection, to_question(sample.text), mode="vector", top_k=PASSAGES)
    return leave_out(list_identities(found, passage_field), sample)


def list_identities(found: SearchResults, passage_field: str | None) -> list[str]:
    return list(dict.fromkeys(identify(hit, passage_field) for hit in found.hits))


def identify(hit: Hit, passage_field: str | None) -> str:
    """As the old store calls it."""
    named = hit.metadata.get(passage_field) if passage_field is not None else None
    return named if isinstance(named, str) else hit.document_key


def leave_out(found: Iterable[str], sample: Sample) -> list[str]:
    """Without the passage itself, which is found anyhow where vectors are asked."""
    return [one for one in found if sample.vector is None or one != sample.identity][:TOP_K]


def is_the_model(client: Client, collection: str, passage_field: str | None, samples: Sequence[Sample]) -> bool:
    """Whether texts find the vectors they stand for: with another model's they do not."""
    asked = samples[:MODEL_SAMPLES]
    found = 0
    for sample in asked:
        results = client.search(collection, to_question(sample.text), mode="vector", top_k=TOP_K)
        found += sample.identity in list_identities(results, passage_field)
    return 2 * found >= len(asked)
