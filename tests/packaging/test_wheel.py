"""What people install: the wheel, built from the source distribution, in an environment of its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import environment, list_processes

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")


def run(folder: Path, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """With an environment in which this checkout cannot be found."""
    clean = {name: value for name, value in environment(folder).items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=120, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution, and the wheel that is built from it, as `python -m build` does."""
    folder = tmp_path_factory.mktemp("dist")
    if not shutil.which("git") or not (ROOT / "pyproject.toml").exists():
        pytest.skip("the tests run without their checkout")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run([*build, "-t", "sdist"], cwd=ROOT, check=True, capture_output=True)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        # Python 3.11.0 to 3.11.3, Debian 12's among them, do not know the filter; later ones ask for it.
        safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safely)
    subprocess.run(
        [*build, "-t", "wheel"], cwd=folder / source.name[: -len(".tar.gz")], check=True, capture_output=True
    )
    (wheel,) = folder.glob("*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of commands. Dependencies are those of this environment, so nothing is fetched."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    python = folder / "venv" / "bin" / "python"
    run(folder, python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", built[1])
    # after our own packages, and as a plain path: an editable install in there is not followed
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    yield folder / "venv" / "bin"
    shutil.rmtree(folder)


def test_the_wheel_holds_the_package_its_migrations_and_pages_and_nothing_else(built: tuple[Path, Path]) -> None:
    names = set(zipfile.ZipFile(built[1]).namelist())
    revisions = {f"ragstore/migrations/versions/{path.name}" for path in ROOT.glob("migrations/versions/*.py")}
    pages = {
        str(path.relative_to(ROOT)) for path in (ROOT / "ragstore/entrypoints/console").iterdir() if path.is_file()
    }
    assert revisions | pages | {"ragstore/migrations/env.py", "ragstore/py.typed"} <= names
    assert {name.split("/")[0].rpartition(".")[2] for name in names} == {"ragstore", "dist-info"}
    assert [name for name in names if "__pycache__" in name or ".ragstore" in name] == []


def test_the_source_distribution_can_be_tested(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "constraints.txt", "migrations/env.py", "tests/conftest.py"} <= names


def test_it_is_the_wheel_that_runs(installed: Path, tmp_path: Path) -> None:
    done = run(tmp_path, installed / "python", "-c", "import ragstore.migrate as m; print(m.find_migrations())")
    assert Path(done.stdout.strip()).is_relative_to(installed.parent)
    assert run(tmp_path, installed / "ragstore", "--version").stdout.startswith("ragstore ")


def test_the_demo_and_the_migrations_run_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    out = run(tmp_path, installed / "ragstore", "migrate").stdout
    revisions = sorted(path.name[:4] for path in ROOT.glob("migrations/versions/*.py"))
    assert out == f"The database is at revision {revisions[-1]}.\n"
    assert "it is empty" in run(tmp_path, installed / "ragstore", "migrate", "--to", "base").stdout
    assert "Truth Value Testing" in run(tmp_path, installed / "ragstore", "demo", "--once").stdout
    assert list_processes(tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_the_console_and_the_store_come_with_it(installed: Path, tmp_path: Path) -> None:
    program = (
        "import ragstore\n"
        "with ragstore.open('data') as store:\n"
        "    print(store.health(), store.transport.http.get('/').status_code)\n"
    )
    assert run(tmp_path, installed / "python", "-c", program).stdout == "ok 200\n"
    assert os.listdir(tmp_path) == ["data"]
