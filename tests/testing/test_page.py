"""The examples of `docs/testing.md`, run as printed in a folder of their own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.processes import environment, list_processes

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def read_files() -> list[tuple[str, str]]:
    return re.findall(r"```python\n# (\S+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("conftest", [0, 1])
def test_the_tests_of_the_page_pass(tmp_path: Path, conftest: int) -> None:
    conftests = [content for name, content in read_files() if name == "conftest.py"]
    (tmp_path / "conftest.py").write_text(conftests[conftest])
    (tmp_path / "test_answers.py").write_text(dict(read_files())["test_answers.py"])
    done = run(tmp_path, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio")
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    assert list_processes(tmp_path) == []


def test_the_script_of_the_page_runs(tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text(dict(read_files())["check.py"])
    done = run(tmp_path, "-W", "error", "check.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
