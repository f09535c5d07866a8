"""Passages with vectors of the test's choice, written as the service writes them; and a plain BM25 to compare with."""

import json
import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from ragstore.collection.service import CollectionService
from ragstore.columns import new_id
from ragstore.database import AsyncSession, Database
from ragstore.document.publishing import DocumentVersion, Passage, Publisher
from ragstore.embedding.codes import encode
from ragstore.ingestion.texts import index_texts
from ragstore.lexical.analysis import get_analyzer

WIDTH = 1536


@dataclass(frozen=True)
class Given:
    """A document: one text and one vector a passage."""

    key: str
    texts: Sequence[str]
    vectors: NDArray[np.float32]
    metadata: dict[str, Any] = field(default_factory=dict)


def draw_vectors(seed: int, count: int, width: int = 64, around: NDArray[np.float32] | None = None) -> Any:
    """Shape (count, 1536) float32 of unit length; near to `around` where it is given."""
    drawn = np.zeros((count, WIDTH), np.float32)
    drawn[:, :width] = np.random.default_rng(seed).normal(size=(count, width))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    if around is not None:
        drawn = around + 0.3 * drawn
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


async def read_tenant_id(database: Database, name: str = "default") -> uuid.UUID:
    async with database.engine.connect() as connection:
        found = await connection.scalar(text("SELECT id FROM tenant WHERE name = :name"), {"name": name})
    assert isinstance(found, uuid.UUID)
    return found


async def store(
    database: Database,
    *documents: Given,
    collection: str = "docs",
    tenant: str = "default",
    before_commit: Callable[[AsyncSession], Awaitable[None]] | None = None,
) -> None:
    tenant_id = await read_tenant_id(database, tenant)
    async with database.transaction(tenant_id) as session:
        handle = await CollectionService(session, tenant_id).open(collection)
        versions = [
            DocumentVersion(
                new_id(),
                one.key,
                "\n".join(one.texts),
                {"title": None, "source": None, "url": None, "meta": one.metadata},
                one.key.encode(),
                b"",
                [Passage(passage, 0, len(passage), 1) for passage in one.texts],
                one.vectors,
                encode(one.vectors),
                index_texts(one.texts, handle),
            )
            for one in documents
        ]
        await Publisher(session, tenant_id, handle).replace(versions)
        if before_commit is not None:
            await before_commit(session)


def make_singles(
    vectors: NDArray[np.float32], passage: str = "granite", prefix: str = "", **metadata: Any
) -> list[Given]:
    return [
        Given(f"{prefix}{number:05}", [passage], vectors[number : number + 1], metadata)
        for number in range(len(vectors))
    ]


async def ask(client: httpx.AsyncClient, path: str = "/v1/collections/docs/search", **request: Any) -> dict[str, Any]:
    response = await client.post(path, json=request)
    assert response.status_code == 200, response.text[:1000]
    answer: dict[str, Any] = json.loads(response.text)
    return answer


def keys_of(hits: Sequence[dict[str, Any]]) -> list[str]:
    return [hit["document_key"] for hit in hits]


def score_plainly(query: str, texts: dict[str, str], language: str = "english") -> dict[str, float]:
    """BM25 of each text that has a word of the query, as the textbook has it (k1 = 1.5, b = 0.7)."""
    analyzer = get_analyzer(language)
    bags = {key: Counter(analyzer.terms(one)) for key, one in texts.items()}
    lengths = {
        key: sum(count for term, count in bag.items() if term not in analyzer.stop_terms) for key, bag in bags.items()
    }
    mean = sum(lengths.values()) / len(lengths)
    scores: dict[str, float] = defaultdict(float)
    for term, asked in Counter(one for one in analyzer.terms(query) if one not in analyzer.stop_terms).items():
        holding = [key for key, bag in bags.items() if term in bag]
        weight = math.log(1 + (len(texts) - len(holding) + 0.5) / (len(holding) + 0.5))
        for key in holding:
            tf = bags[key][term]
            scores[key] += asked * weight * tf * 2.5 / (tf + 1.5 * (1 - 0.7 + 0.7 * lengths[key] / mean))
    return dict(scores)


# What each collection should count by, recounted from its passages: rows that differ.
RECOUNT = """
    WITH wanted AS (
        SELECT t.tenant_id, t.collection_id, u.term, count(*) AS passages
        FROM passage_terms t, unnest(tsvector_to_array(t.terms)) u(term) GROUP BY 1, 2, 3
    ), counted AS (
        SELECT tenant_id, collection_id, term, sum(passages) AS passages FROM (
            SELECT tenant_id, collection_id, term, passages FROM term_count
            UNION ALL
            SELECT x.tenant_id, x.collection_id, v.term, v.change
            FROM term_change x, unnest(x.terms, x.changes) v(term, change)
        ) every GROUP BY 1, 2, 3
    )
    SELECT coalesce(w.term, c.term), w.passages, c.passages
    FROM wanted w FULL JOIN counted c USING (tenant_id, collection_id, term)
    WHERE coalesce(w.passages, 0) <> coalesce(c.passages, 0)
"""
RETOTAL = """
    SELECT k.name, k.chunk_count, k.document_count, k.term_total FROM collection k
    WHERE (k.chunk_count, k.document_count, k.term_total) <> (
        (SELECT count(*) FROM chunk c WHERE c.collection_id = k.id),
        (SELECT count(*) FROM document d WHERE d.collection_id = k.id),
        (SELECT coalesce(sum(t.length), 0) FROM passage_terms t WHERE t.collection_id = k.id)
    )
"""


async def list_wrong_counts(database: Database) -> list[Any]:
    """Of all tenants: nothing when every count of terms, passages and lengths is right."""
    async with database.engine.connect() as connection:
        return [tuple(row) for sql in (RECOUNT, RETOTAL) for row in await connection.execute(text(sql))]
