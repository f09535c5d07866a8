"""The requests and the program of the pages about searching, run as printed."""

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from ragstore.ingestion.schemas import DocumentUpsert
from ragstore.search.schemas import CrossSearchRequest, Hit, PlanReport, SearchResults, Timings
from ragstore.testing import FreshStore, run_ragstore

DOCS = Path(__file__).parents[2] / "docs"
RETRIEVAL, API = (DOCS / "retrieval.md").read_text(), (DOCS / "api.md").read_text()
REQUESTS = re.findall(r"```json request\n(.*?)```", RETRIEVAL + API, re.DOTALL)


@pytest.fixture(scope="module")
def store() -> Iterator[FreshStore]:
    with run_ragstore() as store:
        store.client.ensure_collection("handbook")
        leave = "Everyone has thirty days of paid leave a year."
        documents = [
            DocumentUpsert(leave, "leave.md", "Leave", metadata={"year": 2026}),
            DocumentUpsert("Trains are booked in second class.", "travel.md", "Travel", metadata={"year": 2025}),
        ]
        store.client.upsert_documents("handbook", documents)
        yield store


@pytest.mark.parametrize("request_", REQUESTS, ids=str.strip)
def test_every_request_of_the_pages_finds_something(store: FreshStore, request_: str) -> None:
    answer = httpx.post(
        f"{store.url}/v1/collections/handbook/search",
        content=request_,
        headers={"Authorization": f"Bearer {store.api_key}", "Content-Type": "application/json"},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    assert all(one["hits"] for one in answer.json().get("results", [answer.json()]))


def test_the_program_of_the_page_prints_what_it_should(store: FreshStore) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", RETRIEVAL, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, {"client": store.client})
    first, *rest = printed.getvalue().splitlines()
    assert first == "leave.md ['days', 'paid', 'leave']"
    assert f"# {first}\n" in program
    assert rest == ["leave.md", "travel.md", "handbook", "travel.md", "2"]


def test_the_answer_of_the_page_is_one(store: FreshStore) -> None:
    (answer,) = [one for one in re.findall(r"```json\n(.*?)```", API, re.DOTALL) if '"hits"' in one]
    read = msgspec.json.decode(answer.replace('"…"', '"01890000-0000-7000-8000-000000000001"'), type=SearchResults)
    asked = msgspec.json.decode(next(one for one in REQUESTS if "highlight" in one))
    found = store.client.search("handbook", **asked).hits[0]
    given = read.hits[0]
    assert given.scores
    assert found.scores
    assert (given.content, given.highlights, given.score) == (found.content, found.highlights, found.score)
    assert given.scores.text == pytest.approx(found.scores.text, abs=0.001)
    assert given.scores.vector == pytest.approx(found.scores.vector, abs=0.001)


def test_every_field_is_on_the_page() -> None:
    section = API[API.index("## Search\n") : API.index("## Filters\n")]
    for kind in (CrossSearchRequest, Hit, SearchResults):
        assert [field for field in kind.__struct_fields__ if field not in section] == []
    explained = RETRIEVAL[RETRIEVAL.index("## Explain\n") :]
    for part in (PlanReport, Timings):
        assert [field for field in part.__struct_fields__ if f"`{field}`" not in explained] == []


def test_matching_the_filter_is_timed_apart(store: FreshStore) -> None:
    with_filter = store.client.search("handbook", "leave", filter={"year": 2026}, explain=True).explain
    without = store.client.search("handbook", "leave", explain=True).explain
    assert with_filter
    assert without
    assert with_filter.timings.filter > 0
    assert without.timings.filter == 0
    assert with_filter.timings.statistics > 0
