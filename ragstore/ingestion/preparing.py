"""Everything of the new versions that can be made without a lock: passages, vectors, codes, words."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragstore.collection.service import CollectionHandle
from ragstore.database import TenantDatabase
from ragstore.document.publishing import DocumentVersion, ModelVectors
from ragstore.embedding.codes import encode
from ragstore.embedding.local import MODEL as LOCAL_MODEL
from ragstore.embedding.provider import DIMENSIONS
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.ingestion.drafts import Draft, draft_passages
from ragstore.ingestion.embedding import embed_second
from ragstore.ingestion.planning import Candidate
from ragstore.ingestion.reuse import reuse
from ragstore.ingestion.texts import index_texts
from ragstore.ingestion.vectors import embed_open
from ragstore.lexical.indexing import PassageTerms


@dataclass(frozen=True)
class Prepared:
    """`refused`: of documents that cannot be stored, by index, the passages that the provider does not take."""

    versions: Sequence[DocumentVersion]
    refused: Mapping[int, Sequence[Draft]]


@dataclass(frozen=True)
class NewRows:
    """Of all passages that are not stored yet, in order. `second` is there while another model is filled in."""

    vectors: NDArray[np.float32]
    codes: NDArray[np.uint8]
    terms: Sequence[PassageTerms]
    second: ModelVectors | None


async def prepare(
    database: TenantDatabase,
    embedders: EmbedderRegistry,
    handle: CollectionHandle,
    fresh: Sequence[Candidate],
    *,
    keep: bool,
) -> Prepared:
    """`keep`: unchanged passages of a document stay stored, which fails if somebody changes the document meanwhile."""
    if not fresh:
        return Prepared([], {})
    # The local model makes a vector in the time that it takes to read one.
    paid = handle.model != LOCAL_MODEL
    drafts = await asyncio.to_thread(draft_passages, fresh, handle.chunking, handle.metric)
    await reuse(database, handle, drafts, keep=keep, paid=paid)
    await embed_open(database, embedders.get(handle.model), handle, drafts, paid=paid)
    refused: dict[int, list[Draft]] = {}
    for one in drafts:
        if one.refused is not None:
            refused.setdefault(one.candidate.index, []).append(one)
    good = [one for one in drafts if one.candidate.index not in refused]
    second = await embed_second(embedders, handle, [one.text for one in good if one.kept is None])
    stored = [one for one in fresh if one.index not in refused]
    new = [one for one in good if one.kept is None]
    given = [one.vector for one in new if one.vector is not None]
    vectors = np.stack(given) if given else np.zeros((0, DIMENSIONS), dtype=np.float32)
    # numpy makes the codes beside the Python that reads the words
    codes, terms = await asyncio.gather(
        asyncio.to_thread(encode, vectors), asyncio.to_thread(index_texts, [one.text for one in new], handle)
    )
    rows = NewRows(vectors, codes, terms, second)
    return Prepared(await asyncio.to_thread(make_versions, stored, good, rows), refused)


def make_versions(candidates: Sequence[Candidate], drafts: Sequence[Draft], rows: NewRows) -> list[DocumentVersion]:
    """`drafts`: all passages of the candidates, in order."""
    versions, start, place = [], 0, 0
    for one in candidates:
        own = drafts[place : place + one.chunk_count]
        place += one.chunk_count
        kept = {draft.ordinal: draft.kept for draft in own if draft.kept is not None}
        end = start + len(own) - len(kept)
        versions.append(
            DocumentVersion(
                one.id,
                one.key,
                one.content,
                one.fields,
                one.content_digest,
                one.record_digest,
                [draft.passage for draft in own],
                rows.vectors[start:end],
                rows.codes[start:end],
                rows.terms[start:end],
                [draft.digest for draft in own if draft.kept is None],
                kept,
                one.stored,
                rows.second.cut(start, end) if rows.second is not None else None,
            )
        )
        start = end
    return versions
