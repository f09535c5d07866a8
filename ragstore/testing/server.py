"""One service for a whole test run, and in it a fresh store for each test: a tenant of its own."""

import atexit
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import httpx

from ragstore.cli.child import run_in
from ragstore.client import Client
from ragstore.columns import new_id
from ragstore.database import Database
from ragstore.settings import Settings
from ragstore.store.background import BackgroundLoop
from ragstore.tenant.service import add_tenant
from ragstore.testing.postgres import run_postgres

# Vectors are the same on every machine and in every run, and nothing is asked of the network.
DEFAULTS = {"RAGSTORE_EMBEDDING_MODEL": "local", "RAGSTORE_LOG_LEVEL": "warning"}
OTHERS = ("RAGSTORE_", "OPENAI_")  # what the machine has set is no part of a test


@dataclass(frozen=True)
class FreshStore:
    """Empty at first; nobody else sees what is in it."""

    url: str
    client: Client
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class RagstoreServer:
    url: str
    database: Database = field(repr=False)
    background: BackgroundLoop = field(repr=False)

    @contextmanager
    def fresh_store(self) -> Iterator[FreshStore]:
        """Walled from every other by row-level security; made in milliseconds, and left to the end of the server."""
        key = self.background.run(self._add_tenant())
        # Plain HTTP: nothing to verify, and loading the machine's certificates takes ten times as long as the rest.
        transport = httpx.HTTPTransport(verify=False)
        with Client(self.url, key, transport=transport) as client:
            yield FreshStore(self.url, client, key)

    async def _add_tenant(self) -> str:
        tenant_id = new_id()
        async with self.database.transaction(tenant_id) as session:
            return await add_tenant(session, tenant_id, f"test {tenant_id}")


@contextmanager
def run_server(settings: Mapping[str, str] | None = None) -> Iterator[RagstoreServer]:
    """A service on an empty database and any free port. `settings` are environment variables for it."""
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="ragstore-testing-")))
        postgres_url = parts.enter_context(run_postgres(folder / "database"))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}
        own = {"RAGSTORE_DATABASE_URL": postgres_url, "RAGSTORE_DATA_DIR": str(folder / "service")}
        where = Settings().model_copy(update={"data_dir": folder / "service"})
        url = parts.enter_context(run_in(inherited | DEFAULTS | dict(settings or {}) | own, where))
        background = parts.enter_context(BackgroundLoop())
        owner = Database.connect(postgres_url, Settings())
        parts.callback(lambda: background.run(owner.close()))
        yield RagstoreServer(url, owner, background)


@contextmanager
def run_ragstore() -> Iterator[FreshStore]:
    """A fresh store, anywhere: the first one of a process starts the service, which ends with the process."""
    with shared.get().fresh_store() as store:
        yield store


class SharedServer:
    def __init__(self) -> None:
        self.lock = Lock()
        self.server: RagstoreServer | None = None

    def get(self) -> RagstoreServer:
        with self.lock:
            if self.server is None:
                parts = ExitStack()
                self.server = parts.enter_context(run_server())
                atexit.register(parts.close)
            return self.server


shared = SharedServer()
