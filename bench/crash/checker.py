"""What must hold in the database whatever was killed, asked of the tables themselves and past every index."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from bench.crash.model import Operation, Shared, Slot, Stamp, is_half_done
from bench.stamped import make_document
from ragstore.document.entries import list_entries

# Each answers what is wrong, and nothing when all is well.
RULES = {
    "two documents of one key": """
        SELECT key, count(*) FROM document GROUP BY tenant_id, collection_id, key HAVING count(*) > 1
    """,
    "a document whose passages are not all there": """
        SELECT d.key, d.chunk_count, count(c.id) FROM document d
        LEFT JOIN chunk c ON c.tenant_id = d.tenant_id AND c.document_id = d.id
        GROUP BY d.tenant_id, d.id, d.key, d.chunk_count
        HAVING count(c.id) <> d.chunk_count
            OR (count(c.id) > 0 AND (min(c.ordinal), max(c.ordinal)) <> (0, count(c.id) - 1))
    """,
    "a passage of another version": """
        SELECT d.key, d.version, c.ordinal FROM chunk c
        JOIN document d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
        WHERE substr(d.content, c.start_offset + 1, c.end_offset - c.start_offset) <> c.content
           OR d.collection_id <> c.collection_id
    """,
    "a passage without a document": """
        SELECT c.id FROM chunk c
        LEFT JOIN document d ON d.tenant_id = c.tenant_id AND d.id = c.document_id WHERE d.id IS NULL
    """,
    "a passage without its one vector": """
        SELECT c.id, count(e.chunk_id) FROM chunk c
        JOIN collection k ON k.tenant_id = c.tenant_id AND k.id = c.collection_id
        LEFT JOIN embedding e ON e.tenant_id = c.tenant_id AND e.chunk_id = c.id AND e.model_id = k.model_id
            AND e.collection_id = c.collection_id AND e.document_id = c.document_id
        GROUP BY c.tenant_id, c.id HAVING count(e.chunk_id) <> 1
    """,
    "a vector without its passage": """
        SELECT e.chunk_id FROM embedding e
        LEFT JOIN chunk c ON c.tenant_id = e.tenant_id AND c.id = e.chunk_id WHERE c.id IS NULL
    """,
    "a passage without its one row of terms": """
        SELECT c.id, count(t.chunk_id) FROM chunk c LEFT JOIN passage_terms t ON t.tenant_id = c.tenant_id
            AND t.chunk_id = c.id AND t.collection_id = c.collection_id AND t.document_id = c.document_id
        GROUP BY c.tenant_id, c.id HAVING count(t.chunk_id) <> 1
    """,
    "terms without their passage": """
        SELECT t.chunk_id FROM passage_terms t
        LEFT JOIN chunk c ON c.tenant_id = t.tenant_id AND c.id = t.chunk_id WHERE c.id IS NULL
    """,
    "a count of a term": """
        WITH kept AS (
            SELECT collection_id, term, passages FROM term_count
            UNION ALL
            SELECT c.collection_id, u.term, u.change FROM term_change c, unnest(c.terms, c.changes) u(term, change)
        ), summed AS (
            SELECT collection_id, term, sum(passages) AS passages FROM kept
            GROUP BY 1, 2 HAVING sum(passages) <> 0
        ),
        counted AS (
            SELECT t.collection_id, u.term, count(*) AS passages
            FROM passage_terms t, unnest(tsvector_to_array(t.terms)) u(term)
            GROUP BY 1, 2
        )
        SELECT term, s.passages, c.passages FROM summed s FULL JOIN counted c USING (collection_id, term)
        WHERE s.passages IS DISTINCT FROM c.passages
    """,
    "the counts of a collection": """
        SELECT k.name, k.document_count, k.chunk_count, k.term_total FROM collection k WHERE
            k.document_count <> (SELECT count(*) FROM document d
                WHERE (d.tenant_id, d.collection_id) = (k.tenant_id, k.id))
            OR k.chunk_count <> (SELECT count(*) FROM chunk c
                WHERE (c.tenant_id, c.collection_id) = (k.tenant_id, k.id))
            OR k.term_total <> (SELECT coalesce(sum(t.length), 0) FROM passage_terms t
                WHERE (t.tenant_id, t.collection_id) = (k.tenant_id, k.id))
    """,
    "an index that is not valid": "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid",
}
# Only while no job is under way.
QUIET_RULES = {
    "a file that nothing needs": """
        SELECT f.id FROM file f WHERE NOT f.keep
          AND NOT EXISTS (SELECT FROM document d WHERE d.tenant_id = f.tenant_id AND d.file_id = f.id)
          AND NOT EXISTS (SELECT FROM job j WHERE j.tenant_id = f.tenant_id AND j.payload ->> 'file_id' = f.id::text
                          AND j.state <> 'succeeded')
    """,
    "a job that failed": "SELECT kind, error FROM job WHERE state = 'failed' AND kind IN ('ingest', 'file')",
}
PAST_INDEXES = """
    SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off
"""
BY_INDEX = "SET LOCAL enable_indexscan = on; SET LOCAL enable_indexonlyscan = on; SET LOCAL enable_seqscan = off"
COUNTS = (
    "SELECT count(*) FROM document WHERE tenant_id = $1 AND key >= ''",
    "SELECT count(*) FROM chunk WHERE tenant_id = $1",
    "SELECT count(*) FROM embedding WHERE tenant_id = $1",
    "SELECT count(*) FROM passage_terms WHERE tenant_id = $1",
    "SELECT count(*) FROM metadata_entry WHERE tenant_id = $1",
)
DUE = """
    SELECT id::text, kind, state, attempts,
        round(extract(epoch FROM clock_timestamp() - lease_until)::numeric, 1)::text AS past
    FROM job WHERE state = 'running' OR (state = 'queued' AND run_at <= clock_timestamp())
"""
# Nobody is under way: every claim of an Idempotency-Key belongs to a process that is dead. An hour is put forward.
END_CLAIMS = "UPDATE idempotency_record SET lease_until = now() - interval '1 second' WHERE state = 'running'"
DOCUMENTS = "SELECT id, key, content, source, metadata::text AS metadata, version FROM document"
ENTRIES = "SELECT document_id, entry FROM metadata_entry"


@dataclass(frozen=True)
class Stored:
    id: uuid.UUID
    stamp: int
    version: int


def to_dsn(url: str) -> str:
    return url.replace("postgresql+asyncpg", "postgresql")


async def check_structure(url: str, *, quiet: bool) -> list[str]:
    """In one snapshot, while others may be writing."""
    connection = await asyncpg.connect(to_dsn(url))
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(PAST_INDEXES)
            wrong = [
                f"{name}: {[tuple(row) for row in rows[:5]]} and {max(0, len(rows) - 5)} more"
                for name, statement in (RULES | (QUIET_RULES if quiet else {})).items()
                if (rows := await connection.fetch(statement))
            ]
            tenant = await connection.fetchval("SELECT id FROM tenant LIMIT 1")
            real = [await connection.fetchval(statement, tenant) for statement in COUNTS]
            await connection.execute(BY_INDEX)
            indexed = [await connection.fetchval(statement, tenant) for statement in COUNTS]
            return wrong + ([f"indexes count {indexed}, tables {real}"] if indexed != real else [])
    finally:
        await connection.close()


async def read_documents(url: str) -> tuple[dict[str, Stored], list[str]]:
    """By key, and what is wrong with them."""
    connection = await asyncpg.connect(to_dsn(url))
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows = await connection.fetch(DOCUMENTS)
            entries: dict[uuid.UUID, set[bytes]] = {}
            for one in await connection.fetch(ENTRIES):
                entries.setdefault(one["document_id"], set()).add(one["entry"])
    finally:
        await connection.close()
    stored, wrong = {}, []
    for row in rows:
        stamp = int((row["source"] or "stamp-0").removeprefix("stamp-"))
        meant = make_document(row["key"], stamp)
        if row["content"] != meant["content"]:
            wrong.append(f"{row['key']} has the content of another version than its source, {row['source']}")
        if entries.get(row["id"], set()) != set(list_entries(meant["source"], meant["metadata"])):
            wrong.append(f"{row['key']} is found by the metadata of another version than {stamp}")
        stored[row["key"]] = Stored(row["id"], stamp, row["version"])
    return stored, wrong


def compare_slots(slots: Mapping[str, Slot], stored: Mapping[str, Stored]) -> list[str]:
    """What was acknowledged against what is there; afterwards that is what is known."""
    wrong = []
    for key, slot in slots.items():
        one = stored.get(key)
        found: Stamp = one.stamp if one else None
        if found not in slot.possible:
            wrong.append(f"{key} is {found}, and was acknowledged as {sorted(slot.possible, key=str)}")
        if not slot.busy:
            slot.settle(found, one.version if one else 0)
    return wrong


def compare_requests(lost: Sequence[Operation], slots: Mapping[str, Slot], stored: Mapping[str, Stored]) -> list[str]:
    """What later requests have written over says nothing."""
    found: dict[str, Stamp] = {key: one.stamp for key, one in stored.items()}
    wrong = []
    for operation in lost:
        untouched = [key for key in operation.targets if slots[key].last is operation]
        if operation.kind == "put" and is_half_done(operation, found, untouched):
            wrong.append(f"a request that got no answer is half done: {operation.targets}")
    return wrong


def compare_shared(shared: Sequence[Shared], stored: Mapping[str, Stored]) -> list[str]:
    wrong = []
    for one in shared:
        found = stored.get(one.key)
        latest = max(one.acknowledged, default=0)
        if (found.version if found else 0) < latest:
            wrong.append(f"{one.key} was acknowledged at version {latest} and is {found}")
        if found and found.stamp not in one.sent:
            wrong.append(f"{one.key} holds {found.stamp}, which nobody sent")
        if found and one.acknowledged.get(found.version, found.stamp) != found.stamp:
            wrong.append(f"{one.key} at version {found.version} is not what was acknowledged")
    return wrong


async def run_statement(url: str, statement: str, *given: Any) -> list[Any]:
    connection = await asyncpg.connect(to_dsn(url), timeout=5)
    try:
        return list(await connection.fetch(statement, *given))
    finally:
        await connection.close()
