"""The user's side of the embedded server: a shared lock on the data directory, and the URL."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from ragstore.embedded.binaries import MAJOR, find_binaries
from ragstore.embedded.folder import Folder, Postmaster, is_free, lock, unlock
from ragstore.embedded.machine import inspect_machine
from ragstore.embedded.plan import Plan
from ragstore.embedded.supervisor import READY, RECOVERY_SECONDS, START_SECONDS, STOP_SECONDS
from ragstore.embedded.tuning import tune
from ragstore.errors import ConfigurationError

ENVIRONMENT = ("PATH", "TZ", "LD_LIBRARY_PATH")  # no keys of ours, none of libpq's variables
CLOSE_SECONDS = 30.0


@dataclass(frozen=True, eq=False)
class Hold:
    """Compared by identity: a closed descriptor's number is given out again."""

    descriptor: int


held: set[Hold] = set()


def drop_locks_of_parent() -> None:
    """A forked child shares its parent's open files, and with them the lock; it is not a user of its own."""
    for hold in held:
        os.close(hold.descriptor)
    held.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=drop_locks_of_parent)


@dataclass(frozen=True)
class EmbeddedServer:
    """One use of the server in `data_dir`. It runs until every use is closed or its process has ended."""

    data_dir: Path
    socket_dir: Path
    hold: Hold
    plan: Plan

    @property
    def url(self) -> str:
        """As superuser: who reaches the socket may do everything."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        return f"postgresql+asyncpg://postgres@/{quote(name, safe='')}?host={quote(str(self.socket_dir))}&port=5432"

    def close(self) -> None:
        """Waits for Postgres to stop if this was its last use."""
        if self.hold not in held:
            return
        folder = Folder(self.data_dir)
        try:
            replace_lost_supervisor(folder, self.plan)
        finally:
            held.discard(self.hold)
            unlock(self.hold.descriptor)
        wait_if_last(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_embedded(
    data_dir: Path, *, memory_mb: int | None = None, settings: Mapping[str, str] | None = None
) -> EmbeddedServer:
    """Starts the server in `data_dir`, or joins the one that runs there, whose settings then stay as they are.

    Raises ConfigurationError.
    """
    if sys.platform == "win32":
        raise ConfigurationError("There is no embedded Postgres on Windows: set RAGSTORE_DATABASE_URL.")
    tuned = tune(inspect_machine(), memory_mb) | dict(settings or {})
    binaries = find_binaries()
    try:
        data_dir = data_dir.absolute()
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Folder(data_dir.resolve())
        check_version(folder)
        return join(folder, Plan(str(folder.root), str(binaries), tuned))
    except OSError as error:
        raise ConfigurationError(f"The embedded Postgres cannot use the data directory {data_dir}: {error}.") from error


def check_version(folder: Folder) -> None:
    if not folder.cluster.exists():
        return
    version = (folder.cluster / "PG_VERSION").read_text().strip()
    if version != MAJOR:
        raise ConfigurationError(
            f"{folder.cluster} was made by Postgres {version}, the embedded one is {MAJOR}: move it away, "
            f"or dump it with Postgres {version} and load it into a new data directory."
        )


def join(folder: Folder, plan: Plan) -> EmbeddedServer:
    with starting(folder, RECOVERY_SECONDS):
        # A supervisor that is stopping Postgres holds this lock until it is done.
        users = lock(folder.users_lock, shared=True, seconds=STOP_SECONDS + START_SECONDS)
        if users is None:
            raise ConfigurationError(f"Postgres in {folder.root} is stopping and does not come to an end.")
        try:
            postmaster = ensure_running(folder, plan)
        except BaseException:
            unlock(users)
            raise
        hold = Hold(users)
        held.add(hold)
        return EmbeddedServer(folder.root, postmaster.socket_dir, hold, plan)


@contextmanager
def starting(folder: Folder, seconds: float) -> Iterator[None]:
    descriptor = lock(folder.start_lock, shared=False, seconds=seconds)
    if descriptor is None:
        raise ConfigurationError(f"Another process has been starting Postgres in {folder.root} for {seconds:.0f} s.")
    try:
        yield
    finally:
        unlock(descriptor)


def ensure_running(folder: Folder, plan: Plan) -> Postmaster:
    deadline = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < deadline:
        if is_free(folder.supervisor_lock):
            run_supervisor(plan)  # starts Postgres, or takes over one whose supervisor was killed
        if found := folder.ready_postmaster():
            return found
        time.sleep(0.01)  # the starter was killed, or Postgres has just ended and its supervisor is about to
    raise ConfigurationError(f"Postgres in {folder.root} does not take connections; see {folder.log}.")


def run_supervisor(plan: Plan) -> None:
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    process = subprocess.Popen(  # noqa: S603 - this very Python
        plan.command(),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with process:
        outcome = process.stdout.read().decode(errors="replace").strip() if process.stdout else ""
    if not outcome.endswith(READY):
        raise ConfigurationError(outcome or "The supervisor of the embedded Postgres was killed while starting.")


def replace_lost_supervisor(folder: Folder, plan: Plan) -> None:
    """Without one nobody would stop Postgres after the last use."""
    if not is_free(folder.supervisor_lock) or not folder.ready_postmaster():
        return
    with starting(folder, CLOSE_SECONDS):
        if is_free(folder.supervisor_lock):
            run_supervisor(plan)


def wait_if_last(folder: Folder) -> None:
    deadline = time.monotonic() + CLOSE_SECONDS
    while not is_free(folder.supervisor_lock, shared=True) and time.monotonic() < deadline:
        nobody = is_free(folder.users_lock)  # for a moment, until the supervisor has woken up
        if not nobody and is_free(folder.users_lock, shared=True):
            return  # others use it
        time.sleep(0.005)
