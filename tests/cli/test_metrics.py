import importlib.util
import math
import os
import random
from pathlib import Path
from typing import Any

import pytest

from ragstore.cli.judged import read_judged
from ragstore.cli.metrics import measure, ndcg, percentile, rank, recall, reciprocal_rank

EVALDATA = os.environ.get("RAGSTORE_TEST_EVALDATA")


def test_equal_scores_are_ordered_by_the_greater_id() -> None:
    assert rank({"a": 1.0, "c": 1.0, "b": 2.0}) == ["b", "c", "a"]


def test_ndcg_counts_grades_linearly() -> None:
    grades = {"x": 2, "y": 1, "z": 0}
    ideal = 2 + 1 / math.log2(3)
    assert ndcg(["x", "y"], grades, 10) == pytest.approx(1)
    assert ndcg(["y", "x"], grades, 10) == pytest.approx((1 + 2 / math.log2(3)) / ideal)
    assert ndcg(["q", "z", "y"], grades, 10) == pytest.approx(0.5 / ideal)
    assert ndcg(["q", "x"], grades, 1) == 0


def test_negative_grades_gain_nothing() -> None:
    assert ndcg(["bad", "good"], {"bad": -1, "good": 1}, 10) == pytest.approx(1 / math.log2(3))


def test_recall_counts_all_relevant() -> None:
    assert recall(["a", "b", "c"], {"a": 1, "c": 2, "d": 1, "e": 0}, 2) == pytest.approx(1 / 3)


def test_reciprocal_rank_ends_at_its_depth() -> None:
    assert reciprocal_rank(["q", "a"], {"a": 1}, 10) == 0.5
    assert reciprocal_rank(["q"] * 10 + ["a"], {"a": 1}, 10) == 0


def test_a_query_that_found_nothing_counts_and_one_without_relevant_does_not() -> None:
    qrels = {"found": {"a": 1}, "lost": {"b": 1}, "nothing to find": {"c": 0}}
    assert measure(qrels, {"found": {"a": 0.5}})["ndcg@10"] == 0.5


def test_percentiles_are_measured_values() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile([7.0], 0.5)) == (3.0, 5.0, 7.0)


@pytest.mark.skipif(EVALDATA is None, reason="RAGSTORE_TEST_EVALDATA names no folder with evaluate.py")
def test_figures_agree_with_the_yardstick() -> None:
    folder = Path(EVALDATA or "")
    yardstick = load_yardstick(folder / "evaluate.py")
    judged = read_judged(folder / "retrieval" / "npl")
    chance = random.Random(7)
    documents = sorted({document for grades in judged.qrels.values() for document in grades})
    run = {
        query: {document: chance.randint(0, 50) / 10 for document in chance.sample(documents, 200)}
        for query in list(judged.qrels)[:-3]
    }
    lines = {query: [(one, 0, score) for one, score in scores.items()] for query, scores in run.items()}
    expected, _ = yardstick.evaluate(yardstick.load_qrels(str(folder / "retrieval" / "npl")), lines)
    assert measure(judged.qrels, run) == pytest.approx(expected)


def load_yardstick(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("yardstick", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
