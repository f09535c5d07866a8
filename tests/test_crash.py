"""The short form of `python -m bench.crash`: what it would find in 200 cycles, it may find in a few."""

import asyncio
import uuid

import asyncpg
import pytest
from litestar import Litestar

from bench.crash import checker
from bench.crash.harness import Options
from bench.crash.model import Operation, Shared, Slot
from bench.crash.stage import running
from bench.stamped import make_document
from ragstore.failpoints import Failpoint
from tests.conftest import running as serving

CYCLES = 4
# Whether they were folded by now or not.
FORGET_COUNTS = "WITH folded AS (DELETE FROM term_count) DELETE FROM term_change WHERE $1::uuid IS NOT NULL"


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_when_processes_are_killed() -> None:
    """Also that the work of the harness passes every failpoint there is: none guards a place nobody comes to."""
    options = Options(cycles=CYCLES, seed=5, writers=4, check_every=2, verbose=False)
    with running(options) as harness:
        report = harness.run()
        assert report.violations == [], harness.surgeon.service.log.read_text()[-4000:]
    assert (report.cycles, report.checks) == (CYCLES, CYCLES // 2 + 1)
    assert report.counts["acknowledged writes"] > 50
    assert report.passed == set(Failpoint)


async def test_the_checker_finds_what_it_looks_for(app: Litestar, database_url: str) -> None:
    async with serving(app) as client:  # a database that somebody uses cannot be copied
        await client.post("/v1/collections", json={"name": "stamped"})
        for key in ("a", "b"):
            answer = await client.post("/v1/collections/stamped/documents", json={"documents": [make_document(key, 1)]})
            assert answer.status_code == 200
    assert await checker.check_structure(database_url, quiet=True) == []
    stored, wrong = await checker.read_documents(database_url)
    assert (sorted(stored), wrong) == (["a", "b"], [])
    damages = {
        "DELETE FROM chunk WHERE document_id = $1": "a document whose passages are not all there",
        "UPDATE chunk SET content = 'older' WHERE document_id = $1": "a passage of another version",
        "DELETE FROM embedding WHERE document_id = $1": "a passage without its one vector",
        "DELETE FROM passage_terms WHERE document_id = $1": "a passage without its one row of terms",
        FORGET_COUNTS: "a count of a term",
        "UPDATE collection SET chunk_count = 7 WHERE $1::uuid IS NOT NULL": "the counts of a collection",
    }
    for statement, name in damages.items():
        found = await damage(database_url, statement, stored["a"].id)
        assert any(one.startswith(name) for one in found), (statement, found)


async def damage(url: str, statement: str, document_id: uuid.UUID) -> list[str]:
    """What the checker says of it; undone afterwards."""
    name = f"damaged_{uuid.uuid4().hex}"
    source = url.rsplit("/", 1)[1].split("?")[0]
    owner = await asyncpg.connect(checker.to_dsn(url).replace(source, "postgres"))
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()", source
    )
    await asyncio.sleep(0.2)
    try:
        await owner.execute(f"CREATE DATABASE {name} TEMPLATE {source}")
        copy = url.replace(source, name)
        connection = await asyncpg.connect(checker.to_dsn(copy))
        await connection.execute(statement, document_id)
        await connection.close()
        return await checker.check_structure(copy, quiet=True)
    finally:
        await owner.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await owner.close()


def test_a_lost_or_older_document_is_noticed() -> None:
    stored = {"a": checker.Stored(uuid.uuid4(), 3, 2)}
    assert checker.compare_slots({"a": Slot("a", {3})}, stored) == []
    assert checker.compare_slots({"a": Slot("a", {4})}, stored) != []  # an older version is back
    assert checker.compare_slots({"a": Slot("a", {None})}, stored) != []  # a deleted document is back
    assert checker.compare_slots({"b": Slot("b", {1})}, stored) != []  # lost
    assert checker.compare_slots({"a": Slot("a", {3, 4})}, stored) == []  # no answer: either will do


def test_a_request_that_is_half_done_is_noticed() -> None:
    operation = Operation("put", {"a": 3, "b": 3})
    slots = {key: Slot(key, last=operation) for key in ("a", "b")}
    half = {"a": checker.Stored(uuid.uuid4(), 3, 1)}
    assert checker.compare_requests([operation], slots, half) != []
    assert checker.compare_requests([operation], slots, half | {"b": checker.Stored(uuid.uuid4(), 3, 1)}) == []
    assert checker.compare_requests([operation], slots, {}) == []


def test_a_shared_document_never_falls_behind_what_was_acknowledged() -> None:
    one = Shared("s", {100, 201}, {4: 100, 5: 201})
    assert checker.compare_shared([one], {"s": checker.Stored(uuid.uuid4(), 201, 5)}) == []
    assert checker.compare_shared([one], {"s": checker.Stored(uuid.uuid4(), 100, 4)}) != []
    assert checker.compare_shared([one], {"s": checker.Stored(uuid.uuid4(), 100, 5)}) != []
    assert checker.compare_shared([one], {}) != []
