import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragstore.cli import app

KEY = re.compile(r"rs_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{43}")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("RAGSTORE_DATA_DIR", str(tmp_path / "data"))
    return CliRunner()


def call(run: CliRunner, *arguments: str, code: int = 0) -> str:
    done = run.invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return done.output


def test_tenants_and_keys_are_made_listed_and_taken_back(run: CliRunner) -> None:
    assert KEY.fullmatch(call(run, "tenants", "add", "acme").strip())
    assert "already" in call(run, "tenants", "add", "acme", code=1)
    listed = call(run, "tenants", "list")
    assert [line.split()[-1] for line in listed.splitlines()] == ["acme", "default"]
    made = call(run, "keys", "add", "pipeline", "--tenant", "acme", "--scope", "write", "--days", "90").strip()
    assert KEY.fullmatch(made)
    prefix = made.rpartition("_")[0][:11]
    assert "until" in call(run, "keys", "list", "--tenant", "acme").splitlines()[1]
    assert f"{prefix} is revoked." in call(run, "keys", "revoke", prefix, "--tenant", "acme")
    assert "revoked" in call(run, "keys", "list", "--tenant", "acme").splitlines()[1]
    assert "no key" in call(run, "keys", "revoke", "nothing", "--tenant", "acme", code=1)
    assert call(run, "tenants", "remove", "acme", "--yes")
    assert "no tenant" in call(run, "keys", "list", "--tenant", "acme", code=1)
