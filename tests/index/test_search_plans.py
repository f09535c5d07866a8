"""The statements a search really sends, explained where they run: the app role, row-level security, prepared."""

import re
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from ragstore.collection.schemas import Chunking
from ragstore.collection.service import CollectionHandle
from ragstore.database import AnySession, fetch
from ragstore.document.entries import encode_entry
from ragstore.document.filters import parse_filter
from ragstore.index.queries import IndexKey
from ragstore.lexical.indexing import TermNumbers, to_lexeme
from ragstore.search import queries
from ragstore.search.plans import index_options
from ragstore.search.retrieval import Retrieval
from ragstore.search.samples import Samples
from ragstore.search.tuning import Tuning
from ragstore.search.words import to_words
from tests.index.kit import add_collection, run_job
from tests.job.kit import Queue

CHUNKS = 4000
TIMES = 7  # after five executions Postgres may prefer a plan for any parameters
VECTOR = np.ones(1536, np.float32) / np.sqrt(np.float32(1536))
TERMS = """
    INSERT INTO passage_terms (tenant_id, chunk_id, collection_id, document_id, length, saturation, weights, terms)
    SELECT c.tenant_id, c.id, c.collection_id, c.document_id, 1, 1.5, '{1\\:0.5}/1000000000'\\:\\:sparsevec,
           CAST(CASE WHEN c.ordinal % 100 = 0 THEN :rare ELSE :common END AS tsvector)
    FROM chunk c WHERE c.tenant_id = :tenant_id AND c.collection_id = :collection_id
"""
COUNTS = """
    INSERT INTO term_count (tenant_id, collection_id, term, passages)
    VALUES (:tenant_id, :collection_id, :rare, :count / 100), (:tenant_id, :collection_id, :common, :count * 99 / 100)
"""
# One document for each passage, so that a filter has something to choose from.
SPLIT = """
    WITH split AS (
        INSERT INTO document (tenant_id, id, collection_id, key, content, metadata, content_digest, record_digest,
                              version, chunk_count)
        SELECT c.tenant_id, c.id, c.collection_id, gen_random_uuid(), 'x',
               jsonb_build_object('kind', CASE c.ordinal % 40 WHEN 0 THEN 'few' ELSE 'many' END), '', '', 1, 1
        FROM chunk c WHERE c.tenant_id = :tenant_id AND c.collection_id = :collection_id
    ), entries AS (
        INSERT INTO metadata_entry (tenant_id, collection_id, document_id, entry)
        SELECT c.tenant_id, c.collection_id, c.id, CASE c.ordinal % 40 WHEN 0 THEN CAST(:few AS bytea)
               ELSE CAST(:many AS bytea) END
        FROM chunk c WHERE c.tenant_id = :tenant_id AND c.collection_id = :collection_id
    )
    UPDATE embedding e SET document_id = e.chunk_id
    WHERE e.tenant_id = :tenant_id AND e.collection_id = :collection_id
"""


@pytest.fixture
async def key(queue: Queue) -> IndexKey:
    """A fortieth of the documents has `{"kind": "few"}`, a hundredth of the passages the word `rare`."""
    key = await add_collection(queue, CHUNKS)
    given: dict[str, Any] = {"tenant_id": key.tenant_id, "collection_id": key.collection_id}
    rare, common = (to_lexeme(TermNumbers(key.collection_id).number(word)) for word in ("rare", "common"))
    await queue.ask(TERMS, rare=f"{rare}:1", common=f"{common}:1", **given)
    await queue.ask(COUNTS, rare=rare, common=common, count=CHUNKS, **given)
    few, many = (encode_entry("kind", kind) for kind in ("few", "many"))
    async with queue.owner.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("ALTER TABLE metadata_entry DISABLE TRIGGER ALL"))
        await connection.execute(text(SPLIT), given | {"few": few, "many": many})
        await connection.execute(text("ALTER TABLE metadata_entry ENABLE TRIGGER ALL"))
        await connection.execute(
            text("UPDATE collection SET document_count = :count, term_total = :count WHERE id = :id"),
            {"count": CHUNKS, "id": key.collection_id},
        )
    await queue.ask("VACUUM (ANALYZE)")
    return key


async def explain(
    queue: Queue,
    key: IndexKey,
    monkeypatch: pytest.MonkeyPatch,
    *,
    words: dict[str, int] | None = None,
    tree: dict[str, Any] | None = None,
    vector: bool = True,
) -> tuple[Retrieval, str]:
    """What the retrieval found out, and the plan of the statement that found the candidates, at its seventh run."""
    plans: list[str] = []

    async def explain_too(session: AnySession, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        rows = await fetch(session, "EXPLAIN (COSTS OFF) " + statement, parameters)
        plans.append(re.sub(r"'[^'\n]{80,}'", "'…'", "\n".join(row[0] for row in rows)))
        return await fetch(session, statement, parameters)

    monkeypatch.setattr(queries, "fetch", explain_too)
    handle = CollectionHandle(key.collection_id, "docs", "local", key.model_id, Chunking(), "english", "cosine")
    asked = to_words(words or {}, TermNumbers(key.collection_id))
    async with queue.app.reading(key.tenant_id, options=index_options(200)) as session:
        for _ in range(TIMES):
            one = Retrieval(
                session,
                key.tenant_id,
                handle,
                Tuning(),
                VECTOR if vector else None,
                asked,
                parse_filter(tree) if tree else None,
                False,
                Samples(),
            )
            await one.look()
            await one.prepare()
            pool = await one.gather(200, 10)
            assert len(pool.chunk_ids) >= 10
    return one, plans[-1]


async def test_without_an_index_all_codes_are_read_from_the_covering_index(
    queue: Queue, key: IndexKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, plan = await explain(queue, key, monkeypatch)
    assert found.plan == "exact_codes"
    assert "Index Only Scan using ix_embedding_code" in plan


async def test_with_an_index_the_candidates_come_from_it(
    queue: Queue, key: IndexKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_job(queue, key, threshold=CHUNKS)
    found, plan = await explain(queue, key, monkeypatch)
    assert (found.plan, found.report.fallback) == ("hnsw", False)
    assert f"Index Scan using {key.name}" in plan


async def test_a_broad_filter_is_asked_of_what_the_index_gives(
    queue: Queue, key: IndexKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_job(queue, key, threshold=CHUNKS)
    found, plan = await explain(queue, key, monkeypatch, tree={"kind": "many"})
    assert (found.plan, found.report.fallback) == ("hnsw_iterative", False)
    assert f"Index Scan using {key.name}" in plan
    assert "pk_document" in plan


async def test_few_matching_documents_are_found_by_their_entries(
    queue: Queue, key: IndexKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, plan = await explain(queue, key, monkeypatch, tree={"kind": "few"})
    assert (found.plan, found.matching and found.matching.documents) == ("filtered_vectors", CHUNKS // 40)
    assert "using ix_metadata_entry" in plan
    assert "ix_embedding_document" in plan
    assert "Seq Scan on embedding" not in plan


async def test_a_broad_filter_without_an_index_reads_entries_and_codes_only(
    queue: Queue, key: IndexKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, plan = await explain(queue, key, monkeypatch, tree={"kind": "many"})
    assert found.plan == "exact_codes"
    assert "Index Only Scan using ix_embedding_code" in plan
    assert "on document" not in plan


async def test_words_are_found_through_the_index_on_terms(
    queue: Queue, key: IndexKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function's own statement is not in an EXPLAIN: the index counts how often it was scanned."""
    scans = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'ix_passage_terms_terms'"
    before = (await queue.ask(scans))[0][0]
    found, plan = await explain(queue, key, monkeypatch, words={"rare": 1}, vector=False)
    async with queue.app.transaction(key.tenant_id) as session:
        await (await session.connection()).execute(text("SELECT pg_stat_force_next_flush()"))
    assert found.report.text_candidates == CHUNKS // 100
    assert "Function Scan on ragstore_find_passages" in plan
    assert (await queue.ask(scans))[0][0] >= before + TIMES


async def test_the_function_gives_nothing_of_another_tenant(queue: Queue, key: IndexKey) -> None:
    statement = text(
        "SELECT count(*) FROM ragstore_find_passages("
        ":id, CAST(:wanted AS tsquery), CAST('{1\\:1}/1000000000' AS sparsevec), 10)"
    )
    wanted = to_lexeme(TermNumbers(key.collection_id).number("rare"))
    counts = []
    for tenant_id in (key.tenant_id, uuid.uuid4(), None):
        async with queue.app.transaction(tenant_id) as session:
            connection = await session.connection()
            counts.append(await connection.scalar(statement, {"id": key.collection_id, "wanted": wanted}))
    assert counts == [10, 0, 0]
