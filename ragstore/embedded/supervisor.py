"""The process between the users of a data directory and Postgres, which it starts and, once unused, stops.

It is started in its own session, so that Ctrl-C in a terminal reaches neither it nor Postgres. It ends with Postgres.
"""

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ragstore.embedded.cluster import make_cluster
from ragstore.embedded.folder import SHOWS_PROCESSES, Folder, lock, lock_when_free
from ragstore.embedded.plan import Plan
from ragstore.embedded.postmaster import forget_socket_dir, make_socket_dir, start_postgres
from ragstore.embedded.privileges import choose_identity, give
from ragstore.errors import ConfigurationError

READY = "ready"
START_SECONDS = 60.0
RECOVERY_SECONDS = 900.0  # after a crash Postgres replays up to max_wal_size
STOP_SECONDS = 60.0
UNREACHABLE = (
    "Root cannot run the embedded Postgres here: it refuses to be root, and no other user can reach {folder}. "
    "Run ragstore as an ordinary user, set RAGSTORE_DATABASE_URL, or set RAGSTORE_DATA_DIR to a directory "
    "that belongs to an ordinary user (who must reach Python's packages too)."
)
NAMELESS = (
    "The embedded Postgres needs a user with a name: uid {uid} is not in /etc/passwd. "
    "Run ragstore as a user that is, or set RAGSTORE_DATABASE_URL."
)


def main() -> None:
    plan = Plan(**json.loads(sys.argv[2]))
    leave_the_starter()
    try:
        supervise(plan, Folder(Path(plan.data_dir)))
    except ConfigurationError as error:
        report(error.detail)
    except OSError as error:
        report(f"The embedded Postgres cannot start: {error}.")
    os._exit(0)  # a thread may still wait for the lock


def leave_the_starter() -> None:
    """As a grandchild: the starter has nothing left to reap."""
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    os.chdir("/")
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def report(outcome: str) -> None:
    """To the starter, which reads until the end of the pipe; it may be gone."""
    try:
        os.write(1, outcome.encode(errors="replace"))
    except OSError:
        return
    finally:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        os.close(nowhere)


def supervise(plan: Plan, folder: Folder) -> None:
    if lock(folder.supervisor_lock, shared=False, seconds=START_SECONDS) is None:
        raise ConfigurationError(f"Another process is starting Postgres in {folder.root}.")
    if await_orphan(folder):
        watch_orphan(folder)
        return
    crashed = (folder.cluster / "postmaster.pid").exists()
    forget_dead_postmaster(folder)
    identity = choose_identity(Path(plan.binaries, "postgres"), folder.cluster)
    if identity is None:
        sentence = UNREACHABLE if os.geteuid() == 0 else NAMELESS
        raise ConfigurationError(sentence.format(folder=folder.root, uid=os.geteuid()))
    make_cluster(folder, Path(plan.binaries), identity, unsafe=plan.settings.get("fsync") == "off")
    give(folder.cluster, identity)
    socket_dir = make_socket_dir(folder, identity)
    try:
        process = start_postgres(plan, folder, identity, socket_dir, RECOVERY_SECONDS if crashed else START_SECONDS)
        report(READY)
        watch(folder, process.pid, process.wait)
    finally:
        shutil.rmtree(socket_dir, ignore_errors=True)


def await_orphan(folder: Folder) -> bool:
    """Whether a server whose supervisor was killed is up; one that is starting or stopping is waited for."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if folder.ready_postmaster():
            return True
        found = folder.postmaster()
        if found is None or not folder.runs_here(found.pid):
            return False
        time.sleep(0.02)
    raise ConfigurationError(f"Postgres in {folder.root} neither takes connections nor stops; see {folder.log}.")


def watch_orphan(folder: Folder) -> None:
    found = folder.ready_postmaster()
    report(READY)
    if found is None:
        return

    def wait() -> None:
        while folder.runs_here(found.pid):
            time.sleep(0.2)

    watch(folder, found.pid, wait)
    forget_socket_dir(folder, found.socket_dir)


def watch(folder: Folder, pid: int, wait: Callable[[], object]) -> None:
    """Returns when Postgres has ended, for whatever reason."""
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda *_: signal_postgres(pid, signal.SIGINT))
    threading.Thread(target=stop_when_unused, args=(folder, pid), daemon=True).start()
    wait()


def stop_when_unused(folder: Folder, pid: int) -> None:
    lock_when_free(folder.users_lock)
    signal_postgres(pid, signal.SIGINT)  # fast shutdown: ends connections, writes everything down
    time.sleep(STOP_SECONDS)
    signal_postgres(pid, signal.SIGQUIT)  # at once: the next start recovers


def signal_postgres(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def forget_dead_postmaster(folder: Folder) -> None:
    """Postgres itself cannot tell a dead server's pid from the same pid given to another process."""
    found = folder.postmaster()
    if found is None:
        return
    forget_socket_dir(folder, found.socket_dir)
    if SHOWS_PROCESSES and Path(f"/proc/{found.pid}").exists():
        (folder.cluster / "postmaster.pid").unlink(missing_ok=True)
