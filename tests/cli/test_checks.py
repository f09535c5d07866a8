"""What a doctor says of each figure."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from ragstore.cli.checks import (
    IndexSeen,
    check_collection,
    check_database,
    check_index,
    check_jobs,
    check_recall,
    check_vacuum,
)
from ragstore.collection.schemas import Chunking, CollectionRead
from ragstore.doctor.schemas import DatabaseReport, JobCounts, JobsReport, VacuumReport
from ragstore.recall.advice import advise
from ragstore.recall.schemas import PlanRecall, RecallReport
from ragstore.search.schemas import DensePlan

NONE = JobCounts(0, 0, 0)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
COLLECTION = CollectionRead(
    UUID(int=1), "docs", None, "local", Chunking(), "english", "cosine", {}, 10, 60_000, NOW, NOW
)


def make_database(**values: object) -> DatabaseReport:
    known: dict[str, object] = {"server": "18.6", "pgvector": "0.8.5", "embedded": False}
    return DatabaseReport(**(known | {"revision": "0006", "latest_revision": "0006"} | values))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "levels", "said"),
    [
        ({}, ["ok", "ok"], ""),
        ({"hole": "CVE-1", "mended": "18.6"}, ["wrong", "ok"], "Update PostgreSQL to 18.6"),
        ({"hole": "CVE-1", "mended": "18.6", "embedded": True}, ["advice", "ok"], "of your own"),
        ({"too_old": "needs 16"}, ["wrong", "ok"], "needs 16"),
        ({"revision": "0005"}, ["ok", "wrong"], "ragstore migrate"),
    ],
)
def test_the_database(values: dict[str, object], levels: list[str], said: str) -> None:
    checks = list(check_database(make_database(**values)))
    assert [one.level for one in checks] == levels
    assert said in " ".join(one.change or "" for one in checks)


@pytest.mark.parametrize(
    ("report", "levels", "said"),
    [
        (JobsReport(NONE, NONE, 1.0, False), ["ok"], ""),
        (JobsReport(JobCounts(3, 0, 0), NONE, 300.0, False), ["wrong"], "No worker runs"),
        (JobsReport(JobCounts(3, 4, 0), NONE, 300.0, False), ["wrong"], "RAGSTORE_JOB_CONCURRENCY"),
        (JobsReport(JobCounts(0, 0, 2), JobCounts(0, 0, 1), 0.0, True), ["ok", "wrong", "wrong"], "retry"),
    ],
)
def test_jobs(report: JobsReport, levels: list[str], said: str) -> None:
    checks = list(check_jobs(report))
    assert [one.level for one in checks] == levels
    assert said in " ".join(one.change or "" for one in checks)


@pytest.mark.parametrize(
    ("rows", "untidy", "refused", "level", "said"),
    [
        (100_000, 0, False, "ok", ""),
        (500, 500, False, "ok", ""),
        (100_000, 4_999, False, "ok", ""),
        (100_000, 5_000, False, "advice", "VACUUM embedding"),
        (100_000, 5_000, True, "wrong", "RAGSTORE_OWNER_DATABASE_URL"),
        (100_000, 0, True, "advice", "RAGSTORE_OWNER_DATABASE_URL"),
    ],
)
def test_vacuum(rows: int, untidy: int, refused: bool, level: str, said: str) -> None:
    check = check_vacuum(VacuumReport(rows, untidy, None, refused))
    assert check.level == level
    assert said in (check.change or "")


@pytest.mark.parametrize(
    ("seen", "level"),
    [
        (IndexSeen("auto", "ready", 50_000), "ok"),
        (IndexSeen("auto", "none", 100_000), "ok"),
        (IndexSeen("off", "none", 100_000), "ok"),
        (IndexSeen("off", "none", 50_000), "advice"),
        (IndexSeen("auto", "building", 50_000), "advice"),
        (IndexSeen("auto", "waiting", 50_000), "advice"),
        (IndexSeen("auto", "invalid", 50_000), "wrong"),
    ],
)
def test_the_index(seen: IndexSeen, level: str) -> None:
    assert check_index(COLLECTION, seen).level == level


def test_waiting_text_statistics_are_told_when_they_are_many() -> None:
    assert [one.check for one in check_collection(COLLECTION, None, 999)] == ["passages"]
    assert [one.check for one in check_collection(COLLECTION, None, 1000)] == ["passages", "text statistics"]


def make_plan(recall: float, low: float, *, plan: DensePlan = "exact_codes", live: bool = True) -> PlanRecall:
    return PlanRecall(plan, live, recall, low, 1.0, 0.95, 50, 3.0, 4.0, 0, 0)


def make_report(
    *plans: PlanRecall, exact_ms: float = 100.0, candidates: int = 200, chunks: int = 60_000
) -> RecallReport:
    advice = advise(
        plans,
        source="stored",
        available=chunks,
        sampled=50,
        candidates=candidates,
        exact_ms=exact_ms,
        cut_off=False,
    )
    return RecallReport("docs", "stored", 10, chunks, candidates, 50, 1.0, exact_ms, list(plans), advice)


def test_a_recall_that_is_surely_good_is_fine() -> None:
    check = check_recall(make_report(make_plan(1.0, 0.96)))
    assert (check.level, check.change) == ("ok", None)
    assert "recall@10 1.000, 95% sure of 0.960 to 1.000 (50 queries)" in check.finding


@pytest.mark.parametrize(
    ("recall", "queries", "said"),
    [
        (1.0, 50, "50 queries are too few to be sure that recall is 0.95 or more: ask with --samples 100."),
        (0.98, 50, "--samples 200"),
        (0.98, 110, "--samples 200"),
        (0.96, 200, "RAGSTORE_SEARCH_CANDIDATES to 800"),
    ],
)
def test_a_good_recall_that_is_not_proved_says_how_to_prove_it(recall: float, queries: int, said: str) -> None:
    plan = make_plan(recall, 0.9)
    plan.queries = queries
    check = check_recall(make_report(plan))
    assert check.level == "advice"
    assert said in (check.change or "")


def test_a_small_collection_of_which_every_vector_was_asked_is_fine() -> None:
    check = check_recall(make_report(make_plan(1.0, 0.1), chunks=50))
    assert (check.level, check.change) == ("ok", None)


def test_no_more_samples_are_advised_than_there_are_passages() -> None:
    assert "--samples 60." in (check_recall(make_report(make_plan(1.0, 0.9), chunks=60)).change or "")


@pytest.mark.parametrize(
    ("report", "said", "unsaid"),
    [
        (make_report(make_plan(0.8, 0.7)), "RAGSTORE_SEARCH_CANDIDATES to 800", "exact search"),
        (make_report(make_plan(0.8, 0.7), candidates=4000), "RAGSTORE_SEARCH_CANDIDATES to 10,000", "exact search"),
        (make_report(make_plan(0.8, 0.7), candidates=10_000), "another embedding model", "RAGSTORE_SEARCH_CANDIDATES"),
        (make_report(make_plan(0.8, 0.7), exact_ms=9.0), "An exact search takes 9 ms", "index"),
        (
            make_report(make_plan(0.8, 0.7, plan="hnsw"), make_plan(1.0, 0.9, live=False)),
            "The index loses some: 0.800 with it, 1.000",
            "RAGSTORE_SEARCH_CANDIDATES",
        ),
        (
            make_report(make_plan(0.8, 0.7, plan="hnsw"), make_plan(0.81, 0.7, live=False)),
            "RAGSTORE_SEARCH_CANDIDATES to 800",
            "The index loses",
        ),
        (
            make_report(make_plan(0.6, 0.5, plan="hnsw"), make_plan(0.8, 0.7, live=False)),
            "RAGSTORE_SEARCH_CANDIDATES to 800",
            "codes are all right",
        ),
    ],
)
def test_a_bad_recall_is_wrong_and_says_what_to_change(report: RecallReport, said: str, unsaid: str) -> None:
    check = check_recall(report)
    assert check.level == "wrong"
    assert said in (check.change or "")
    assert unsaid not in (check.change or "")


def test_short_answers_are_wrong_whatever_their_recall() -> None:
    plan = make_plan(0.99, 0.96, plan="hnsw")
    plan.short_answers = 2
    check = check_recall(make_report(plan))
    assert check.level == "wrong"
    assert "build the index anew" in (check.change or "")
