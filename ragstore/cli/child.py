"""The service as a child process, for as long as a block lasts."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO

from ragstore.client import ServiceAddress
from ragstore.client.location import find_key, is_alive, read_server_file
from ragstore.errors import ConfigurationError
from ragstore.settings import Settings

START_SECONDS = 900.0  # a database that crashed replays its log first
PAUSE = 0.02
# The demo never writes into a database somebody has named, nor asks a service elsewhere.
NOT_PASSED_ON = ("RAGSTORE_DATABASE_URL", "RAGSTORE_OWNER_DATABASE_URL", "RAGSTORE_URL", "RAGSTORE_API_KEY")


@contextmanager
def run_child(settings: Settings, variables: Mapping[str, str] | None = None) -> Iterator[ServiceAddress]:
    """On the embedded database and any free port, with `variables` over this process's environment. It ends with this
    process, however that ends.
    """
    passed_on = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    environment = passed_on | dict(variables or {})
    environment.setdefault("RAGSTORE_LOG_LEVEL", "warning")
    environment["RAGSTORE_DATA_DIR"] = str(settings.data_dir)
    with run_in(environment, settings) as url:
        yield ServiceAddress(url, find_key(settings.model_copy(update={"api_key": None})))


@contextmanager
def run_in(environment: Mapping[str, str], settings: Settings) -> Iterator[str]:
    """The URL of a service whose environment is this one; of `settings` only the data directory counts, and how long
    a shutdown may take.
    """
    command = [sys.executable, "-m", "ragstore", "serve", "--port", "0", "--parent-pid", str(os.getpid())]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        # A session of its own: Ctrl-C in the terminal reaches only this process, which then stops the child once.
        process = subprocess.Popen(  # noqa: S603 - this very Python
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield wait_for_address(settings, process, log)
        finally:
            stop(process, settings.shutdown_timeout)


def wait_for_address(settings: Settings, process: subprocess.Popen[bytes], log: IO[str]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        running = read_server_file(settings.data_dir)
        if running is not None and running.pid == process.pid:
            return running.url
        if process.poll() is not None:
            break
        time.sleep(PAUSE)
    log.seek(0)
    lines = [line for line in log.read().splitlines() if line.strip()]
    raise ConfigurationError(lines[-1].removeprefix("ragstore: ") if lines else "The service did not start.")


def stop(process: subprocess.Popen[bytes], patience: float) -> None:
    process.terminate()
    try:
        process.wait(patience + 30)  # requests, then Postgres
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def find_running(settings: Settings) -> ServiceAddress | None:
    """The service that others have started on this data directory."""
    running = read_server_file(settings.data_dir)
    if running is None or not is_alive(running.pid):
        return None
    return ServiceAddress(running.url, find_key(settings.model_copy(update={"api_key": None})))
