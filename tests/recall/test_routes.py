"""How much of the exact answer a search finds, measured by the service itself."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from ragstore.app import create_app
from ragstore.collection.indexing import name_index
from ragstore.database import Database
from ragstore.recall import audit
from ragstore.recall.audit import Audit, Probe
from ragstore.search.recall_statistics import measure_recall
from ragstore.search.retrieval import Retrieval
from tests.builders import make_collection, paths_of, problem_of, search, upsert
from tests.conftest import make_settings, running

WORDS = ["river", "stone", "cloud", "engine", "violin", "market", "forest", "letter", "copper", "winter"]
TEXTS = [f"The {a} near the {b} was seen by {c}." for a in WORDS for b in WORDS for c in WORDS[:4]]
RECALL = "/v1/collections/docs/recall"
# Each passage gets the code of another, far from it.
MIX_CODES = """
    UPDATE embedding e SET code = o.code
    FROM (SELECT chunk_id, row_number() OVER (ORDER BY chunk_id) AS place FROM embedding) mine
    JOIN (SELECT code, row_number() OVER (ORDER BY md5(chunk_id::text)) AS place FROM embedding) o USING (place)
    WHERE e.chunk_id = mine.chunk_id
"""


@pytest.fixture
async def narrow(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """With as few candidates as can be set."""
    async with running(create_app(make_settings(database_url, search_candidates=10))) as client:
        yield client


async def fill(client: httpx.AsyncClient, collection: str = "docs") -> None:
    await make_collection(client, collection)
    documents = [{"key": one, "content": one, "metadata": {"river": "river" in one}} for one in TEXTS]
    await upsert(client, *documents, collection=collection)


async def run_as_owner(database: Database, statement: str) -> None:
    async with database.transaction() as session:
        await (await session.connection()).execute(text(statement))


async def measure(client: httpx.AsyncClient, **parameters: Any) -> dict[str, Any]:
    response = await client.get(RECALL, params=parameters)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_complete_search_has_a_recall_of_one_and_an_interval_below_it(client: httpx.AsyncClient) -> None:
    await fill(client)
    found = await measure(client, samples=30, top_k=5)
    (plan,) = found["plans"]
    assert (plan["plan"], plan["live"], plan["recall"], plan["high"]) == ("exact_codes", True, 1.0, 1.0)
    assert 0.8 < plan["low"] < 0.95
    assert (plan["queries"], found["sampled"], found["chunks"]) == (30, 30, len(TEXTS))
    assert (plan["short_answers"], plan["fallbacks"], found["candidates"]) == (0, 0, 200)
    assert 0 < plan["p50_ms"] <= plan["p95_ms"]
    assert found["exact_p50_ms"] > 0
    assert "samples=100" in found["advice"][0]


async def test_a_sure_answer_needs_no_advice(client: httpx.AsyncClient) -> None:
    await fill(client)
    found = await measure(client, samples=110, seconds=60)
    assert found["plans"][0]["low"] > 0.95
    assert found["advice"] == []


async def test_codes_that_say_nothing_are_found_out(narrow: httpx.AsyncClient, database: Database) -> None:
    await fill(narrow)
    before = await measure(narrow, samples=30)
    await run_as_owner(database, MIX_CODES)
    after = await measure(narrow, samples=30)
    assert before["plans"][0]["recall"] > 0.8
    assert after["plans"][0]["high"] < 0.5
    assert after["candidates"] == 40
    assert "RAGSTORE_SEARCH_CANDIDATES to 160" in after["advice"][0], (
        "what a search for ten compares anyway is no advice"
    )


async def test_the_passage_a_query_was_taken_from_is_in_no_answer(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would find itself whatever the plan; the answers are as long as they were asked for all the same."""
    await fill(client)
    probes: list[Probe] = []
    answers: list[list[Any]] = []
    ask, measured = Audit.ask, measure_recall

    async def note_probe(self: Audit, probe: Probe) -> None:
        probes.append(probe)
        await ask(self, probe)

    def note_answers(found: Any, exact: Any) -> float:
        answers.append([probes[-1].chunk_id, [one for one, _ in found], [one for one, _ in exact]])
        return measured(found, exact)

    monkeypatch.setattr(Audit, "ask", note_probe)
    monkeypatch.setattr(audit, "measure_recall", note_answers)
    await measure(client, samples=5, top_k=3)
    assert len({probe for probe, _, _ in answers}) == 5
    for probe, found, exact in answers:
        assert (len(found), len(exact)) == (3, 3)
        assert probe not in found + exact


async def test_both_plans_see_one_state(
    client: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each live answer every vector in the database is changed; the exact answer does not know."""
    await fill(client)
    gather, writes = Retrieval.gather, 0

    async def gather_and_write(self: Retrieval, depth: int, needed: int) -> Any:
        nonlocal writes
        pool = await gather(self, depth, needed)
        if not self.exact:
            writes += 1
            await run_as_owner(
                database, MIX_CODES.replace("SET code = o.code", "SET vector = o.vector").replace("code,", "vector,")
            )
        return pool

    monkeypatch.setattr(Retrieval, "gather", gather_and_write)
    found = await measure(client, samples=4, seconds=60)
    assert writes == 4
    assert found["plans"][0]["recall"] == 1.0
    monkeypatch.undo()
    assert (await measure(client, samples=20))["plans"][0]["recall"] < 0.9, "the vectors were not changed"


async def test_an_index_is_compared_with_the_complete_scan(client: httpx.AsyncClient, database: Database) -> None:
    await fill(client)
    await build_index(database)
    found = await measure(client, samples=20)
    assert [(one["plan"], one["live"]) for one in found["plans"]] == [("hnsw", True), ("exact_codes", False)]
    assert found["plans"][1]["recall"] == 1.0


async def build_index(database: Database) -> None:
    """As the service names it, so that it is found."""
    async with database.transaction() as session:
        connection = await session.connection()
        row = (await connection.execute(text("SELECT tenant_id, id, model_id FROM collection"))).one()
        await connection.execute(
            text(
                f"CREATE INDEX {name_index(row.tenant_id, row.id, row.model_id)} ON embedding"
                " USING hnsw (code bit_hamming_ops)"
                f" WHERE tenant_id = '{row.tenant_id}' AND collection_id = '{row.id}' AND model_id = {row.model_id}"
            )
        )


async def test_when_the_time_is_over_what_was_measured_counts(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(client)
    ask, asked = Audit.ask, 0

    async def ask_slowly(self: Audit, probe: Probe) -> None:
        nonlocal asked
        if asked == 3:
            await (await self.session.connection()).execute(text("SELECT pg_sleep(100)"))
        asked += 1
        await ask(self, probe)

    monkeypatch.setattr(Audit, "ask", ask_slowly)
    found = await measure(client, samples=10, seconds=1)
    assert (found["sampled"], found["plans"][0]["queries"], asked) == (10, 3, 3)
    assert any("after 3 of 10" in one for one in found["advice"])
    assert await search(client, query="river"), "the connection is free again"


async def test_the_time_of_one_statement_does_not_end_the_audit(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RAGSTORE_STATEMENT_TIMEOUT is for requests that others wait for."""
    ask = Audit.ask

    async def ask_slowly(self: Audit, probe: Probe) -> None:
        await (await self.session.connection()).execute(text("SELECT pg_sleep(1.2)"))
        await ask(self, probe)

    async with running(create_app(make_settings(database_url, statement_timeout=1))) as client:
        await fill(client)
        monkeypatch.setattr(Audit, "ask", ask_slowly)
        assert (await measure(client, samples=1, seconds=30))["plans"][0]["queries"] == 1


async def test_when_not_even_one_was_measured_it_says_so(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(client)

    async def never(self: Audit, probe: Probe) -> None:
        await asyncio.sleep(100)

    monkeypatch.setattr(Audit, "ask", never)
    found = await measure(client, seconds=0.5)
    assert found["plans"] == []
    assert "more seconds" in found["advice"][0]


async def test_what_was_asked_lately_is_asked_again(client: httpx.AsyncClient) -> None:
    await fill(client)
    nothing = await measure(client, source="queries")
    assert (nothing["sampled"], nothing["plans"]) == (0, [])
    assert "source=stored" in nothing["advice"][0]
    await search(client, query="a river of copper", mode="vector")
    await search(client, query="winter", mode="hybrid")
    await search(client, query="winter", mode="text")
    found = await measure(client, source="queries")
    assert (found["sampled"], found["plans"][0]["queries"], found["plans"][0]["recall"]) == (2, 2, 1.0)


async def test_real_queries_find_out_codes_that_say_nothing(narrow: httpx.AsyncClient, database: Database) -> None:
    await fill(narrow)
    for word in WORDS:
        await search(narrow, query=f"a {word} of glass", mode="vector")
    await run_as_owner(database, MIX_CODES)
    assert (await measure(narrow, source="queries"))["plans"][0]["recall"] < 0.5


async def test_a_filter_is_part_of_the_question(client: httpx.AsyncClient) -> None:
    await fill(client)
    found = await measure(client, samples=10, filter='{"river": true}')
    assert found["plans"][0]["plan"] == "filtered_vectors"
    nothing = await measure(client, samples=10, filter='{"river": 7}')
    assert nothing["plans"] == []
    assert "nothing to find" in nothing["advice"][0]


@pytest.mark.parametrize("metric", ["inner_product", "l2"])
async def test_other_metrics_are_measured_by_their_own_distance(client: httpx.AsyncClient, metric: str) -> None:
    await make_collection(client, metric=metric)
    await upsert(client, *[{"key": one, "content": one} for one in TEXTS[:100]])
    assert (await measure(client, samples=10))["plans"][0]["recall"] == 1.0


async def test_an_empty_collection_has_nothing_to_find(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    assert "no passages yet" in (await measure(client))["advice"][0]
    await upsert(client, {"key": "a", "content": "the only passage"})
    assert "nothing to find" in (await measure(client))["advice"][0]


async def test_a_stranger_measures_its_own(client: httpx.AsyncClient, stranger_key: str) -> None:
    stranger = {"Authorization": f"Bearer {stranger_key}"}
    await fill(client)
    await search(client, query="a river of copper")
    problem_of(await client.get(RECALL, headers=stranger), 404, "not-found")
    await client.post("/v1/collections", json={"name": "docs"}, headers=stranger)
    for source in ("stored", "queries"):
        found = (await client.get(RECALL, params={"source": source}, headers=stranger)).json()
        assert (found["sampled"], found["chunks"]) == (0, 0)


async def test_one_is_measured_at_a_time(wide_client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(wide_client)
    begun, go_on, ask = asyncio.Event(), asyncio.Event(), Audit.ask

    async def ask_when_told(self: Audit, probe: Probe) -> None:
        begun.set()
        await go_on.wait()
        await ask(self, probe)

    monkeypatch.setattr(Audit, "ask", ask_when_told)
    first = asyncio.create_task(measure(wide_client, samples=2))
    await begun.wait()
    refused = await wide_client.get(RECALL)
    problem_of(refused, 429, "too-many-requests")
    assert refused.headers["retry-after"]
    go_on.set()
    assert (await first)["plans"][0]["queries"] == 2


async def test_whoever_goes_away_ends_the_audit(app: Any, client: httpx.AsyncClient, monkeypatch: Any) -> None:
    """The pool has one connection: it is free again although the audit had a minute."""
    await fill(client)
    begun, left, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def ask_forever(self: Audit, probe: Probe) -> None:
        begun.set()
        try:
            await (await self.session.connection()).execute(text("SELECT pg_sleep(100)"))
        finally:
            ended.set()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    monkeypatch.setattr(Audit, "ask", ask_forever)
    request = client.build_request("GET", RECALL, params={"seconds": 60})
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": request.url.path, "raw_path": request.url.raw_path, "query_string": request.url.query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw], "server": ("ragstore", 80),
        "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    answering = asyncio.create_task(app(scope, receive, send))
    await begun.wait()
    left.set()
    await asyncio.wait_for(ended.wait(), 30)
    await answering
    assert await search(client, query="river")


@pytest.mark.parametrize(
    ("parameters", "status", "slug", "path"),
    [
        ({"samples": 0}, 400, "invalid-request", "samples"),
        ({"samples": 201}, 400, "invalid-request", "samples"),
        ({"top_k": 101}, 400, "invalid-request", "top_k"),
        ({"seconds": 61}, 400, "invalid-request", "seconds"),
        ({"source": "guess"}, 400, "invalid-request", "source"),
        ({"filter": "{"}, 422, "invalid-filter", "filter"),
        ({"filter": '{"$no": 1}'}, 422, "invalid-filter", "filter.$no"),
        ({"sample": 1}, 400, "invalid-request", "sample"),
    ],
)
async def test_wrong_parameters_are_refused_by_name(
    client: httpx.AsyncClient, parameters: dict[str, Any], status: int, slug: str, path: str
) -> None:
    await make_collection(client)
    assert paths_of(problem_of(await client.get(RECALL, params=parameters), status, slug)) == [path]


async def test_a_collection_smaller_than_the_samples_gets_no_advice_to_ask_more(client: httpx.AsyncClient) -> None:
    await make_collection(client)
    await upsert(client, *({"key": one, "content": one} for one in TEXTS[:2]))
    found = await measure(client, samples=20)
    assert (found["sampled"], found["plans"][0]["recall"], found["advice"]) == (2, 1.0, [])
    assert (await measure(client, samples=1))["advice"] == [
        "1 queries are too few to be sure that recall is 0.95 or more: ask with samples=2."
    ]


async def test_few_remembered_queries_get_no_advice_to_ask_more_of_them(client: httpx.AsyncClient) -> None:
    await fill(client)
    await search(client, query="river")
    (advice,) = (await measure(client, source="queries"))["advice"]
    assert "samples=" not in advice
    assert "source=stored" in advice
