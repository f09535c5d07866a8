import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ragstore
from ragstore.cli import app
from ragstore.cli.hits import cut_snippet

COMMANDS = ("serve", "demo", "ingest", "search", "eval", "migrate")


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


def test_a_snippet_shows_the_part_with_the_words() -> None:
    passage = "Title\n*****\n" + "Nothing to see here. " * 30 + "The needle is here. " + "More of nothing. " * 30
    snippet = cut_snippet(passage, "where is the needle?", 60)
    assert "needle" in snippet
    assert snippet.startswith("… ")
    assert snippet.endswith(" …")
    assert cut_snippet("short\n\ntext", "x") == "short text"
