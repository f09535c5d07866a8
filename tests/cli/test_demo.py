import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.processes import list_processes, start, wait_for_service

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")


def test_the_demo_shows_everything_and_leaves_nothing_running(tmp_path: Path) -> None:
    process = start(tmp_path, "demo", "--once")
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert re.search(r"79 documents|\d\d documents, \d\d created", out)
    assert out.count("\n? ") == 3
    assert "Truth Value Testing" in out
    first = re.search(r"First answer after (\d+\.\d) s\.", out)
    assert first is not None
    assert "user: " in out
    assert "assistant: " in out
    assert re.search(r"/schema$", out, re.MULTILINE)
    key = tmp_path / "data" / "admin.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text().strip() not in out
    assert list_processes(tmp_path) == []


def test_the_demo_again_with_its_curl_until_ctrl_c(tmp_path: Path) -> None:
    first = start(tmp_path, "demo", "--once")
    first.communicate(timeout=90)
    process = start(tmp_path, "demo")
    wait_for_service(tmp_path, process)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "until Ctrl-C" in line:
            break
    out = "".join(lines)
    assert re.search(r"\d\d unchanged", out)
    command = re.search(r"^curl .*?'$\n", out, re.MULTILINE | re.DOTALL)
    assert command is not None
    answer = subprocess.run(command[0], shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert '"hits":[{' in answer
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (first.returncode, process.returncode) == (0, 0)
    assert "Traceback" not in err
    assert list_processes(tmp_path) == []
