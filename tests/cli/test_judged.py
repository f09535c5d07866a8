from pathlib import Path

import pytest

from ragstore.cli.judged import read_judged, read_qrels
from ragstore.errors import ConfigurationError


def write_folder(folder: Path, qrels: str) -> Path:
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "text": "x"}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "one"}\n\n{"_id": "q2", "text": "two"}\n')
    (folder / "qrels.tsv").write_text(qrels)
    return folder


@pytest.mark.parametrize(
    "text",
    ["query-id\tcorpus-id\tscore\nq1\td1\t2\n\n", "q1\td1\t2\n", "q1 0 d1 2\n", "q1\tQ0\td1\t2\n"],
    ids=["header", "no header", "trec", "trec with tabs"],
)
def test_both_forms_of_qrels(tmp_path: Path, text: str) -> None:
    (tmp_path / "qrels.tsv").write_text(text)
    assert read_qrels(tmp_path / "qrels.tsv") == {"q1": {"d1": 2}}


def test_queries_without_a_relevant_document_are_left_out(tmp_path: Path) -> None:
    judged = read_judged(write_folder(tmp_path, "q1\td1\t1\nq2\td1\t0\n"))
    assert judged.queries == {"q1": "one"}
    assert judged.name == tmp_path.name


@pytest.mark.parametrize(
    ("qrels", "words"),
    [("q1\td1\t1\nq1\td1\tmuch\n", "qrels.tsv:2"), ("q9\td1\t1\n", "such as q9"), ("q1\td1\t0\n", "no query")],
)
def test_what_is_wrong_is_named(tmp_path: Path, qrels: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_judged(write_folder(tmp_path, qrels))


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no corpus\.jsonl"):
        read_judged(tmp_path)
