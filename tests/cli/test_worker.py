import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.processes import environment
from tests.job.conftest import queue  # noqa: F401  # a fixture
from tests.job.kit import Queue

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")


def start_worker(folder: Path, url: str | None) -> subprocess.Popen[str]:
    here = {"RAGSTORE_DATABASE_URL": url} if url else {}
    return subprocess.Popen(
        [sys.executable, "-m", "ragstore", "worker", "--concurrency", "2"],
        cwd=folder,
        env=environment(folder) | here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def test_a_worker_of_its_own_does_what_the_service_asked_for(queue: Queue, tmp_path: Path) -> None:  # noqa: F811
    process = start_worker(tmp_path, queue.url)
    job_id = await queue.add("vacuum")
    await queue.wait_for(job_id, "succeeded", seconds=30)
    os.kill(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    assert (await queue.row(job_id)).result == {"vacuumed": True}


@pytest.mark.parametrize("url", [None, "postgresql://nobody@127.0.0.1:1/nothing"])
def test_a_worker_without_a_database_says_so_in_a_line(tmp_path: Path, url: str | None) -> None:
    process = start_worker(tmp_path, url)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.count("\n") == 1, err
