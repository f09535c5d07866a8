"""Running `ragstore` as people do: as a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ragstore.client.location import read_server_file

START_SECONDS = 40.0


def start(folder: Path, *arguments: str, chosen_key: str | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ragstore", *arguments],
        cwd=folder,
        env=environment(folder) | ({"RAGSTORE_ADMIN_KEY": chosen_key} if chosen_key else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAGSTORE_", "OPENAI_"))}
    root = str(Path(__file__).parents[2])
    return kept | {
        "RAGSTORE_DATA_DIR": str(folder / "data"),
        "RAGSTORE_LOG_LEVEL": "warning",
        "RAGSTORE_MEMORY_MB": "256",
        "PYTHONPATH": os.pathsep.join(filter(None, [root, kept.get("PYTHONPATH")])),
        "COLUMNS": "80",
    }


def wait_for_service(folder: Path, process: subprocess.Popen[str]) -> str:
    wait_until(lambda: read_server_file(folder / "data") is not None or process.poll() is not None)
    running = read_server_file(folder / "data")
    if running is None:
        raise AssertionError(process.communicate())
    return running.url


def wait_until(condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen")
        time.sleep(0.05)


def list_processes(folder: Path) -> list[str]:
    """Every process that works on this folder: it is named in their environment or on their command line."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            if "Z" in (one / "stat").read_text().rpartition(")")[2].split()[:1]:
                continue
            texts = (one / "environ").read_bytes() + b"\0" + (one / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in texts and one.name != str(os.getpid()):
            found.append(f"{one.name} {(one / 'cmdline').read_text()}")
    return found
