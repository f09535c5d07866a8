"""`ragstore serve`: the parent process. It owns the embedded Postgres, the port and the workers."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from ragstore.cli.announcement import announce_when_ready
from ragstore.cli.orphans import end_with_parent
from ragstore.cli.port import reserve_port
from ragstore.cli.preparation import prepare_database, run_database
from ragstore.cli.screen import say
from ragstore.cli.signals import stop_on_signals
from ragstore.client.location import remove_server_file
from ragstore.errors import ConfigurationError
from ragstore.logs import configure_logs
from ragstore.settings import Settings

BACKLOG = 1024
# Also how long an idle connection is kept: longer than the 60 s of common load balancers, so that they close first.
IDLE_MILLISECONDS = 75_000
QUIET = {"handlers": {}, "loggers": {"_granian": {"handlers": [], "propagate": True}}}


@dataclass(frozen=True)
class Listen:
    host: str
    port: int
    workers: int


def run_service(settings: Settings, listen: Listen, parent_pid: int | None = None) -> None:
    """Returns after SIGTERM or SIGINT, when the requests under way are answered."""
    if parent_pid is not None:
        end_with_parent(parent_pid, settings.shutdown_timeout)
    with reserve_port(listen.host, listen.port) as port, run_database(settings) as ready:
        show_key(prepare_database(ready))
        tell_workers(ready)
        run_workers(ready, Listen(listen.host, port, listen.workers))


def run_workers(settings: Settings, listen: Listen) -> None:
    server = Granian(
        "ragstore.cli.worker_app:create_worker_app",
        factory=True,
        interface=Interfaces.ASGI,
        address=listen.host,
        port=listen.port,
        workers=listen.workers,
        loop=Loops.uvloop,
        http=HTTPModes.auto,
        websockets=False,
        backlog=BACKLOG,
        backpressure=BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_MILLISECONDS),
        log_access=False,
        log_level=LogLevels.warning,
        log_dictconfig=QUIET,
        respawn_failed_workers=True,
        workers_kill_timeout=max(1, round(settings.shutdown_timeout)),
    )
    configure_logs(settings)  # after granian, which arranges its own
    stop_on_signals(server)
    announce_when_ready(server, settings.data_dir)
    try:
        server.serve()
    except SystemExit as ended:
        if ended.code:
            raise ConfigurationError("The service stopped: its workers failed, see the log above.") from None
    finally:
        remove_server_file(settings.data_dir, os.getpid())
        signal.signal(signal.SIGINT, signal.default_int_handler)  # stopping Postgres can be interrupted too


def show_key(path: Path | None) -> None:
    if path is not None:
        say(f"Admin key, shown this once and kept in {path}: {path.read_text().strip()}")


def tell_workers(settings: Settings) -> None:
    """Workers read their settings as everybody does; only the embedded database is not in the environment yet."""
    if settings.database_url is not None:
        os.environ["RAGSTORE_DATABASE_URL"] = settings.database_url.get_secret_value()
