"""The service and a worker as processes of their own, which die as SIGKILL lets them die, and are started again."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOOK_SECONDS = 0.02
STOP_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def list_children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


@dataclass
class Supervised:
    """Started again whenever it has ended, as systemd or an orchestrator would do."""

    command: list[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self._launch()
        self.thread = threading.Thread(target=self._keep, daemon=True, name=self.command[3])
        self.thread.start()

    @property
    def pids(self) -> list[int]:
        """The children that do the work, or the process itself where it has none."""
        if self.process is None:
            return []
        return list_children(self.process.pid) or [self.process.pid]

    def kill(self) -> None:
        """All of it at once: a parent that is gone would let its children end in peace."""
        if self.process is not None:
            for pid in [self.process.pid, *list_children(self.process.pid)]:
                kill(pid)

    def kill_children(self) -> None:
        for pid in self.pids:
            kill(pid)

    def signal(self, number: signal.Signals) -> None:
        for pid in self.pids:
            kill(pid, number)

    def stop(self) -> None:
        self.stopping.set()
        if self.thread is not None:
            self.thread.join()
        if self.process is None:
            return
        self.signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait()

    def _launch(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1

    def _keep(self) -> None:
        while not self.stopping.wait(LOOK_SECONDS):
            if self.process is not None and self.process.poll() is not None:
                self._launch()


def serve(environment: Mapping[str, str], port: int, log: Path) -> Supervised:
    parent = str(os.getpid())
    command = [sys.executable, "-m", "ragstore", "serve", "--port", str(port), "--parent-pid", parent]
    return Supervised(command, {**environment, "RAGSTORE_RUN_JOBS": "false"}, log)


def work(environment: Mapping[str, str], log: Path) -> Supervised:
    return Supervised([sys.executable, "-m", "ragstore", "worker"], environment, log)


def wait_until(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise SystemExit(f"stuck: {what}")
    time.sleep(LOOK_SECONDS)
