import os
import re
from pathlib import Path
from uuid import UUID

import pytest
from typer.testing import CliRunner

import ragstore
from ragstore.cli import app
from ragstore.cli.explaining import describe_matching, list_remarks
from ragstore.cli.hits import cut_beginning, cut_end, cut_snippet, list_after, list_before
from ragstore.search.schemas import Hit, Neighbor, PlanReport

COMMANDS = ("serve", "demo", "ingest", "export", "import", "search", "eval", "doctor", "migrate")


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    for name in [name for name in os.environ if name.startswith("RAGSTORE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return CliRunner()


def test_version(runner: CliRunner) -> None:
    assert runner.invoke(app, ["--version"]).output.strip() == f"ragstore {ragstore.__version__}"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(runner: CliRunner, command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"ragstore {command}" in result.output
    assert "Example" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments",
    [["search"], ["search", "x", "--top-k", "0"], ["search", "x", "--filter", "[1]"], ["eval", ".", "--mode", "guess"],
     ["ingest"], ["serve", "--port", "70000"], ["nothing"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(runner: CliRunner, arguments: list[str]) -> None:
    assert runner.invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize("arguments", [["search", "x"], ["ingest", "."]], ids=" ".join)
def test_without_a_service_one_line_says_so(runner: CliRunner, arguments: list[str]) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "ragstore serve" in result.stderr


def test_a_wrong_setting_is_one_line(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSTORE_POOL_SIZE", "many")
    result = runner.invoke(app, ["search", "x"])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "RAGSTORE_POOL_SIZE" in result.stderr


def test_no_database_is_one_line_without_the_password(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSTORE_DATABASE_URL", "postgresql://user:hidden-word@127.0.0.1:1/name")
    result = runner.invoke(app, ["migrate"])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "cannot be reached" in result.stderr
    assert "hidden-word" not in result.stderr


def find_spans(passage: str, *words: str) -> list[tuple[int, int]]:
    return [found.span() for found in re.finditer("|".join(words), passage)]


def test_a_snippet_shows_the_part_with_the_words() -> None:
    passage = "Title\n*****\n" + "Nothing to see here. " * 30 + "The  needle\nis here. " + "More of nothing. " * 30
    snippet = cut_snippet(passage, find_spans(passage, "needle", "is here"), 60)
    assert "The needle is here." in snippet.plain
    assert snippet.plain.startswith("… ")
    assert snippet.plain.endswith(" …")
    assert [snippet.plain[span.start : span.end] for span in snippet.spans] == ["needle", "is here"]
    assert cut_snippet("short\n\ntext", []).plain == "short text"


def test_a_snippet_with_several_different_words_is_better_than_one_with_the_same_often() -> None:
    passage = "A cat, a cat, a cat. " + "Something else entirely. " * 20 + "A cat and a dog. " + "The end. " * 20
    assert "cat and a dog" in cut_snippet(passage, find_spans(passage, "cat", "dog"), 60).plain


def test_neighbors_stand_around_the_passage_cut_on_the_far_side() -> None:
    beside = "first " + "word " * 100 + "last"
    assert cut_beginning(beside).startswith("first word")
    assert cut_beginning(beside).endswith(" …")
    assert cut_end(beside).startswith("… word")
    assert cut_end(beside).endswith("word last")
    assert cut_end("short") == cut_beginning("short") == "short"


def test_neighbors_are_shown_without_what_they_share_with_the_hit() -> None:
    text, nobody = "abcdefghijklmnop", UUID(int=0)

    def beside(ordinal: int, start: int, end: int) -> Neighbor:
        return Neighbor(nobody, ordinal, text[start:end], start, end)

    hit = Hit(nobody, "k", nobody, 1.0, text[6:10], None, None, None, {}, 2, 6, 10, "c")
    neighbors = [beside(0, 0, 5), beside(1, 3, 8), beside(3, 9, 13), beside(4, 12, 16)]
    assert list_before(hit, neighbors) == ["abc", "def"]
    assert list_after(hit, neighbors) == ["klm", "nop"]


def test_remarks_name_the_collection_that_was_searched_otherwise() -> None:
    usual = PlanReport("a", 10, "hnsw")
    odd = PlanReport("b", 10, "exact_codes", matching=2000, matching_at_least=True, fallback=True, complete=False)
    assert list_remarks([usual]) == []
    assert [one.split(":")[0] for one in list_remarks([usual, odd])] == ["b", "b"]
    assert (describe_matching(usual), describe_matching(odd)) == ("none", "at least 2,000 documents")
