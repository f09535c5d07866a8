"""Documents and passages as the columns and rows that the statements take. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from ragstore.document.passages.service import StoredPassage
from ragstore.document.versions import DocumentVersion, Passage, RecordChange
from ragstore.lexical.indexing import PassageTerms

Columns = dict[str, list[Any]]


def to_document_columns(versions: Sequence[DocumentVersion]) -> Columns:
    return {
        "ids": [one.id for one in versions],
        "keys": [one.key for one in versions],
        "titles": [one.fields["title"] for one in versions],
        "contents": [one.content for one in versions],
        "content_digests": [one.content_digest for one in versions],
        "chunk_counts": [len(one.passages) for one in versions],
        **to_shared_columns(versions),
    }


def to_record_columns(changes: Sequence[RecordChange]) -> Columns:
    return {
        "ids": [one.stored.id for one in changes],
        "content_digests": [one.stored.content_digest for one in changes],
        **to_shared_columns(changes),
    }


def to_shared_columns(changed: Sequence[DocumentVersion | RecordChange]) -> Columns:
    return {
        "sources": [one.fields["source"] for one in changed],
        "urls": [one.fields["url"] for one in changed],
        "metadata": [json.dumps(one.fields["meta"]) for one in changed],
        "file_ids": [one.fields.get("file_id") for one in changed],
        "record_digests": [one.record_digest for one in changed],
    }


def to_moves(kept: Sequence[tuple[StoredPassage, int, Passage]]) -> Columns:
    """Of those that are elsewhere now, or say something else of themselves."""
    moved = [
        (stored.id, ordinal, passage)
        for stored, ordinal, passage in kept
        if (stored.ordinal, stored.start, stored.end, stored.metadata)
        != (ordinal, passage.start, passage.end, passage.metadata)
    ]
    return {
        "ids": [chunk_id for chunk_id, _, _ in moved],
        "ordinals": [ordinal for _, ordinal, _ in moved],
        "starts": [passage.start for _, _, passage in moved],
        "ends": [passage.end for _, _, passage in moved],
        "metadata": [json.dumps(passage.metadata) for _, _, passage in moved],
    }


def to_chunk_row(ordinal: int, passage: Passage) -> tuple[Any, ...]:
    metadata = json.dumps(passage.metadata) if passage.metadata else "{}"
    return (ordinal, passage.content, passage.start, passage.end, passage.token_count, metadata)


def to_terms_row(one: PassageTerms) -> tuple[Any, ...]:
    return (one.length, one.saturation, (one.indices, one.weights), one.terms)
