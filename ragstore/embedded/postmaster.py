"""Starting the Postgres process: its socket, its log, its command line."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from ragstore.embedded.folder import Folder, open_private
from ragstore.embedded.plan import Plan
from ragstore.embedded.privileges import Identity, become, give
from ragstore.errors import ConfigurationError

LOG_BYTES = 10 * 1024 * 1024
SHORT_PLACE = "/tmp"  # noqa: S108 - mkdtemp; TMPDIR may be as long as the path that did not fit
SHORT_NAME = "ragstore-"


def forget_socket_dir(folder: Folder, socket_dir: Path) -> None:
    if socket_dir == folder.socket_dir or socket_dir.name.startswith(SHORT_NAME):
        shutil.rmtree(socket_dir, ignore_errors=True)


def make_socket_dir(folder: Folder, identity: Identity) -> Path:
    """Mode 700, since whoever reaches the socket is superuser. `postmaster.pid` records where it is."""
    socket_dir = folder.socket_dir
    if socket_dir is None:
        socket_dir = Path(tempfile.mkdtemp(prefix=SHORT_NAME, dir=SHORT_PLACE))
    else:
        shutil.rmtree(socket_dir, ignore_errors=True)
        socket_dir.mkdir(mode=0o700)
    give(socket_dir, identity)
    return socket_dir


def start_postgres(
    plan: Plan, folder: Folder, identity: Identity, socket_dir: Path, seconds: float
) -> subprocess.Popen[bytes]:
    deadline = time.monotonic() + seconds
    while True:
        log_start = rotate_log(folder.log)
        process = launch(plan, folder, identity, socket_dir)
        while process.poll() is None and time.monotonic() < deadline:
            if folder.ready_postmaster():
                return process
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        process.wait()
        said = folder.log.read_bytes()[log_start:].decode(errors="replace")
        # Backends of a postmaster that was killed take a moment to notice.
        if "still in use" not in said or time.monotonic() >= deadline:
            raise ConfigurationError(f"The embedded Postgres does not start; {folder.log} says: {last_lines(said)}")
        time.sleep(0.2)


def launch(plan: Plan, folder: Folder, identity: Identity, socket_dir: Path) -> subprocess.Popen[bytes]:
    settings = plan.settings | {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": str(socket_dir),
        "unix_socket_permissions": "0700",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    log = open_private(folder.log, os.O_WRONLY | os.O_APPEND)
    try:
        return subprocess.Popen(  # noqa: S603 - our own binary
            [Path(plan.binaries, "postgres"), "-D", folder.cluster, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=lambda: become(identity),
        )
    finally:
        os.close(log)


def rotate_log(log: Path) -> int:
    """How much of the log is old news."""
    size = log.stat().st_size if log.exists() else 0
    if size < LOG_BYTES:
        return size
    log.replace(log.with_suffix(".log.1"))
    return 0


def last_lines(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-5:]) or "nothing"
