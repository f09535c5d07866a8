"""A Postgres that is this process's own child: who kills a postmaster has to reap it before the next can start."""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from ragstore.embedded.binaries import find_binaries
from ragstore.embedded.cluster import make_cluster
from ragstore.embedded.folder import Folder
from ragstore.embedded.machine import inspect_machine
from ragstore.embedded.plan import Plan
from ragstore.embedded.postmaster import forget_socket_dir, make_socket_dir, start_postgres
from ragstore.embedded.privileges import Identity, choose_identity, give
from ragstore.embedded.tuning import tune

MEMORY_MB = 256
START_SECONDS = 60.0


@dataclass
class Cluster:
    """As the embedded one is started, with fsync on."""

    root: Path
    plan: Plan
    identity: Identity
    process: subprocess.Popen[bytes] | None = None
    socket_dir: Path | None = field(default=None)

    @classmethod
    def make(cls, root: Path, template: Path | None = None) -> "Cluster":
        """A new cluster in `root`, or a copy of the one that was stopped in `template`."""
        binaries = find_binaries()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Folder(root)
        if template is not None:
            shutil.copytree(Folder(template).cluster, folder.cluster, symlinks=True)
        identity = choose_identity(Path(binaries, "postgres"), folder.cluster)
        if identity is None:
            raise SystemExit(f"Postgres cannot run in {root}")
        make_cluster(folder, binaries, identity)
        give(folder.cluster, identity)
        settings = tune(inspect_machine(), MEMORY_MB) | {"max_connections": "60"}
        return cls(root, Plan(str(root), str(binaries), settings), identity)

    @property
    def url(self) -> str:
        assert self.socket_dir is not None
        return f"postgresql+asyncpg://postgres@/postgres?host={quote(str(self.socket_dir))}&port=5432"

    def start(self) -> None:
        """Recovers first, if it was killed."""
        folder = Folder(self.root)
        if self.socket_dir is None:
            self.socket_dir = make_socket_dir(folder, self.identity)
        self.process = start_postgres(self.plan, folder, self.identity, self.socket_dir, START_SECONDS)

    def kill(self) -> None:
        """SIGKILL of the postmaster; its backends notice."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)
        if self.socket_dir is not None:
            forget_socket_dir(Folder(self.root), self.socket_dir)
            self.socket_dir = None

    def log_tail(self, lines: int = 20) -> str:
        log = Folder(self.root).log
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def kill_backend(pid: int) -> None:
    """Postgres ends all other connections too, and recovers by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
