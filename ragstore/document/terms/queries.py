"""The terms of passages and how many passages hold each. Writers note what they change; folding adds it up."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text

from ragstore.columns import new_id
from ragstore.database import AsyncSession, write

# The changes to the counts are made of the passages that are gone, in the one statement that takes them away.
FORGET = text("""
    WITH gone AS (
        DELETE FROM passage_terms t USING chunk c
        WHERE c.tenant_id = :tenant_id AND c.document_id = ANY(CAST(:ids AS uuid[]))
          AND c.id <> ALL(CAST(:kept AS uuid[])) AND t.tenant_id = :tenant_id AND t.chunk_id = c.id
        RETURNING t.terms, t.length
    ), counted AS (
        SELECT u.term, -count(*)::integer AS change FROM gone, unnest(tsvector_to_array(gone.terms)) u(term)
        GROUP BY u.term
    ), noted AS (
        INSERT INTO term_change (tenant_id, collection_id, id, terms, changes)
        SELECT :tenant_id, :collection_id, :change_id, array_agg(term), array_agg(change) FROM counted
        HAVING count(*) > 0
    )
    SELECT coalesce(sum(length), 0) FROM gone
""")
INSERT_TERMS = """
INSERT INTO passage_terms (tenant_id, collection_id, document_id, chunk_id, length, saturation, weights, terms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
INSERT_CHANGE = """
INSERT INTO term_change (tenant_id, collection_id, id, terms, changes) VALUES ($1, $2, $3, $4, $5)
"""
LOCK_FOLDING = text("SELECT pg_advisory_xact_lock(hashtextextended('term_count ' || :collection, 0))")
# First, as who deletes the collection does: afterwards it would be locked by the foreign key of a count.
LOCK_COLLECTION = text("SELECT 1 FROM collection WHERE tenant_id = :tenant_id AND id = :collection_id FOR KEY SHARE")
FOLD_TERMS = text("""
    WITH waiting AS (
        DELETE FROM term_change WHERE tenant_id = :tenant_id AND collection_id = :collection_id
        RETURNING terms, changes
    ), summed AS (
        SELECT u.term, sum(u.change) AS change FROM waiting, unnest(terms, changes) u(term, change)
        GROUP BY u.term HAVING sum(u.change) <> 0
    ), folded AS (
        INSERT INTO term_count (tenant_id, collection_id, term, passages)
        SELECT :tenant_id, :collection_id, term, change FROM summed
        ON CONFLICT (tenant_id, collection_id, term) DO UPDATE SET passages = term_count.passages + excluded.passages
    )
    SELECT count(*) FROM waiting
""")


async def forget_terms(
    session: AsyncSession,
    tenant_id: uuid.UUID,
    collection_id: uuid.UUID,
    document_ids: Sequence[uuid.UUID],
    kept: Sequence[uuid.UUID] = (),
) -> int:
    """Take the documents' passages, but for those that are kept, out of the search by words and its counts; answers how
    many terms they had.
    """
    connection = await session.connection()
    given = {
        "tenant_id": tenant_id,
        "collection_id": collection_id,
        "change_id": new_id(),
        "ids": list(document_ids),
        "kept": list(kept),
    }
    return int((await connection.execute(FORGET, given)).scalar_one())


async def note_terms(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, counted: Mapping[str, int]
) -> None:
    if counted:
        row = (tenant_id, collection_id, new_id(), list(counted), list(counted.values()))
        await write(session, INSERT_CHANGE, [row])


async def insert_passage_terms(session: AsyncSession, rows: Sequence[Sequence[Any]]) -> None:
    await write(session, INSERT_TERMS, rows)


async def fold_term_changes(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID) -> int:
    """Put what waits in `term_change` into `term_count`; answers how many transactions' changes those were."""
    connection = await session.connection()
    given = {"tenant_id": tenant_id, "collection_id": collection_id}
    await connection.execute(LOCK_FOLDING, {"collection": str(collection_id)})
    if not (await connection.execute(LOCK_COLLECTION, given)).all():
        return 0
    return int((await connection.execute(FOLD_TERMS, given)).scalar_one())
