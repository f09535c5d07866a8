"""The same store inside a notebook or a script: the embedded Postgres and the application, without a server."""

import atexit
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import structlog

from ragstore.app import create_app
from ragstore.cli.preparation import prepare_database, run_database
from ragstore.client import Client
from ragstore.client.location import find_key
from ragstore.logs import configure_logs
from ragstore.settings import Settings, load_settings
from ragstore.store.background import BackgroundLoop
from ragstore.store.transport import Application, InProcessTransport

ADDRESS = "http://localhost"  # nobody listens: the transport goes to the application directly


class Store(Client):
    """Every call of `ragstore.client.Client`, answered in this process as the service would answer it.

    Threads may share one. It ends with its `with` block, with `close`, or with the interpreter.
    """

    def __init__(self, application: Application, background: BackgroundLoop, api_key: str, parts: ExitStack) -> None:
        super().__init__(ADDRESS, api_key, transport=InProcessTransport(application, background))
        self._parts = parts
        atexit.register(self.close)

    def close(self) -> None:
        """Once is enough, more does no harm. Postgres stops with its last user."""
        atexit.unregister(self.close)
        super().close()
        self._parts.close()


def open_store(path: str | Path = ".ragstore", *, settings: Settings | None = None) -> Store:
    """The store in this directory, made if it is new: the one `ragstore serve` would run with it as data directory.

    Several processes may have it open at once, a running service among them. `settings` are those of the environment
    by default; the database they name is not used. Raises ConfigurationError.
    """
    no_database = {"data_dir": Path(path), "database_url": None, "owner_database_url": None, "api_key": None}
    chosen = (settings or load_settings()).model_copy(update=no_database)
    tell_only_of_trouble(chosen)
    with ExitStack() as parts:
        ready = parts.enter_context(run_database(chosen))
        with ThreadPoolExecutor(1) as thread:  # it runs a loop of its own; here one may be running already
            thread.submit(prepare_database, ready).result()
        app = create_app(ready)
        background = parts.enter_context(BackgroundLoop(app.lifespan()))
        return Store(app, background, find_key(ready), parts.pop_all())


def tell_only_of_trouble(settings: Settings) -> None:
    """A line per request is for services. Whoever has arranged logs keeps them."""
    if not structlog.is_configured():
        configure_logs(settings.model_copy(update={"log_level": "warning"}))
