"""The files of an embedded Postgres inside a data directory, and the kernel locks that say who uses it."""

import os
import re
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

if sys.platform != "win32":
    import fcntl

SHOWS_PROCESSES = Path("/proc/self/cwd").exists()
LONGEST_SOCKET_PATH = 103  # macOS; Linux has four more
ENCRYPTION_REQUEST = bytes.fromhex("0000000804d2162f")  # the one message a server answers before it knows the user
ANSWER_SECONDS = 5.0
SOCKET_NAME = ".s.PGSQL.5432"
PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._ -]*")  # needs no quoting in a URL, nor in Postgres' list of directories


@dataclass(frozen=True)
class Postmaster:
    """What a running, or once running, server says of itself in `postmaster.pid`."""

    pid: int
    socket_dir: Path
    status: str


@dataclass(frozen=True)
class Folder:
    root: Path

    @property
    def cluster(self) -> Path:
        return self.root / "postgres"

    @property
    def log(self) -> Path:
        return self.root / "postgres.log"

    @property
    def start_lock(self) -> Path:
        """Held exclusively by the process that starts the server."""
        return self.root / "postgres.start"

    @property
    def users_lock(self) -> Path:
        """Shared by every process that uses the server; the supervisor gets it exclusively once there is none."""
        return self.root / "postgres.users"

    @property
    def supervisor_lock(self) -> Path:
        """Held exclusively by the supervisor for all its life."""
        return self.root / "postgres.supervisor"

    @property
    def socket_dir(self) -> Path | None:
        """None if no socket can be there: the path is too long or needs quoting."""
        folder = self.root / "postgres.socket"
        fits = len(os.fsencode(folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH
        return folder if fits and PLAIN_PATH.fullmatch(str(folder)) else None

    def postmaster(self) -> Postmaster | None:
        try:
            lines = (self.cluster / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
            return Postmaster(abs(int(lines[0])), Path(lines[4]), lines[7].strip() if len(lines) > 7 else "")
        except (OSError, ValueError, IndexError):
            return None

    def ready_postmaster(self) -> Postmaster | None:
        """The server, if it takes connections. Its pid would prove nothing: another process may have it by now."""
        found = self.postmaster()
        if found is None or found.status != "ready":
            return None
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_SECONDS)
            try:
                connection.connect(
                    str(found.socket_dir / SOCKET_NAME)
                )  # the kernel's doing: a dying server accepts too
                connection.sendall(ENCRYPTION_REQUEST)
                return found if connection.recv(1) else None
            except OSError:
                return None

    def runs_here(self, pid: int) -> bool:
        """Whether this process is the postmaster of this cluster, as far as the system tells."""
        try:
            os.kill(pid, 0)
            return not SHOWS_PROCESSES or Path(f"/proc/{pid}/cwd").samefile(self.cluster)
        except OSError:
            return False


def open_private(file: Path, flags: int = os.O_RDWR) -> int:
    """Not inherited by programs. Root leaves it to the owner of the directory, who may come back without root."""
    descriptor = os.open(file, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:
        owner = file.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def lock(file: Path, *, shared: bool, seconds: float) -> int | None:
    """An open file that holds the lock until it is closed or its process is gone; None if others kept it."""
    descriptor = open_private(file)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.01)
        except BaseException:
            os.close(descriptor)
            raise
        else:
            return descriptor


def lock_when_free(file: Path) -> int:
    """Waits, without polling, until no other process holds the lock."""
    descriptor = open_private(file)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def unlock(descriptor: int) -> None:
    """At once, even if a forked child still has the file open."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def is_free(file: Path, *, shared: bool = False) -> bool:
    descriptor = lock(file, shared=shared, seconds=0)
    if descriptor is None:
        return False
    unlock(descriptor)
    return True
