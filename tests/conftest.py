"""One Postgres for the run, one database a test: a copy of a template that the migrations made."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from filelock import FileLock
from litestar import Litestar
from sqlalchemy import text
from sqlalchemy.engine import make_url

from ragstore.app import create_app
from ragstore.columns import new_id
from ragstore.database import Database
from ragstore.embedded import start_embedded
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.logs import configure_logs
from ragstore.migrate import migrate
from ragstore.roles import Roles
from ragstore.settings import Settings
from ragstore.tenant.service import add_tenant, ensure_first_tenant

ADMIN_KEY = "sesame"
TEMPLATE = "ragstore_template"
ROLES = Roles("ragstore_app")

for variable in [name for name in os.environ if name.startswith("RAGSTORE_") and "_TEST_" not in name]:
    del os.environ[variable]  # a test says what it wants; the machine's settings are not part of it

configure_logs(Settings(log_format="json", log_level="warning"))


def make_settings(url: str, **values: object) -> Settings:
    """A pool of one connection unless a test says otherwise: whoever asks for a second one waits for ever."""
    one = {"database_url": url, "pool_size": 1, "max_overflow": 0, "request_pool_timeout": 20}
    return Settings.model_validate(one | values)


def docker_answers() -> bool:
    if not (os.environ.get("DOCKER_HOST") or Path("/var/run/docker.sock").exists()):
        return False  # asked first: a client that fails to connect leaks its socket
    import docker  # noqa: PLC0415  # only where there may be one

    try:
        docker.from_env(timeout=2).ping()
    except docker.errors.DockerException:
        return False
    return True


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Shared by the workers of a parallel run."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def server_url(run_dir: Path) -> Iterator[str]:
    """RAGSTORE_TEST_DATABASE_URL, else a container where Docker answers, else the embedded server."""
    if url := os.environ.get("RAGSTORE_TEST_DATABASE_URL"):
        yield url
    elif docker_answers():
        from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415  # needs Docker

        with PostgresContainer("pgvector/pgvector:pg18", driver="asyncpg") as container:
            yield container.get_connection_url()
    else:
        with start_embedded(run_dir / "embedded", memory_mb=1024, settings={"fsync": "off"}) as server:
            yield server.url


async def run_on_server(url: str, *statements: str) -> None:
    database = Database.connect(url, make_settings(url))
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in statements:
            await connection.execute(text(statement))
    await database.close()


def on_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def template(server_url: str, run_dir: Path) -> str:
    """The name of the migrated database that every test's own is copied from."""
    name = f"{TEMPLATE}_{os.getppid() if 'PYTEST_XDIST_WORKER' in os.environ else os.getpid()}"

    async def build() -> None:
        await run_on_server(server_url, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
        url = on_database(server_url, name)
        database = Database.connect(url, make_settings(url))
        await migrate(database, ROLES)
        await ensure_first_tenant(database, ADMIN_KEY, keep=print)
        await database.close()

    with FileLock(run_dir / "template.lock"):
        if not (run_dir / "template.done").exists():
            asyncio.run(build())
            (run_dir / "template.done").touch()
    return name


@pytest.fixture
async def database_url(server_url: str, template: str) -> AsyncIterator[str]:
    name = f"ragstore_test_{uuid.uuid4().hex}"
    await run_on_server(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield on_database(server_url, name)
    await run_on_server(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def empty_database_url(server_url: str) -> AsyncIterator[str]:
    """A database that no migration has seen."""
    name = f"ragstore_test_{uuid.uuid4().hex}"
    await run_on_server(server_url, f"CREATE DATABASE {name}")
    yield on_database(server_url, name)
    await run_on_server(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """As the owner of everything, past every wall."""
    database = Database.connect(database_url, make_settings(database_url))
    yield database
    await database.close()


@asynccontextmanager
async def running(app: Litestar, key: str | None = ADMIN_KEY) -> AsyncIterator[httpx.AsyncClient]:
    """The app on this very event loop, and a client that shows its 500s as a stranger would see them."""
    started, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:  # a task of its own: a fixture's two halves run in two, which litestar's lifespan forbids
        async with app.lifespan():
            started.set()
            await stop.wait()

    living = asyncio.create_task(live())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({living, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if living.done():
        waiting.cancel()
        living.result()
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]  # litestar's own scope
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://ragstore", headers=headers) as client:
            yield client
    finally:
        stop.set()
        await living


@pytest.fixture
def app(database_url: str) -> Litestar:
    return create_app(make_settings(database_url))


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """As admin of the tenant `default`."""
    async with running(app) as client:
        yield client


@pytest.fixture
async def wide_client(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The same with the default pool, for tests of what happens at once."""
    settings = make_settings(database_url, pool_size=5, max_overflow=10)
    async with running(create_app(settings)) as client:
        yield client


@pytest.fixture
async def stranger_key(database: Database) -> str:
    """The admin key of another tenant."""
    tenant_id = new_id()
    async with database.transaction(tenant_id) as session:
        return await add_tenant(session, tenant_id, "stranger")


@pytest.fixture
def embedders(database_url: str) -> EmbedderRegistry:
    return EmbedderRegistry(make_settings(database_url))
