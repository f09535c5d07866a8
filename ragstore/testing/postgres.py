"""The Postgres that tests run on."""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy.engine import make_url

from ragstore.database import Database
from ragstore.embedded import start_embedded
from ragstore.settings import Settings
from ragstore.store.background import BackgroundLoop

IMAGE = "pgvector/pgvector:pg18"
MEMORY_MB = 256
UNSAFE = {"fsync": "off", "synchronous_commit": "off"}  # a test's data need not survive the machine


@contextmanager
def run_postgres(folder: Path) -> Iterator[str]:
    """The URL of an empty database, as its superuser, gone after the block.

    On the server of RAGSTORE_TEST_DATABASE_URL, else in a container where Docker answers and `testcontainers` is
    installed, else on the embedded server, with its files in `folder`.
    """
    if url := os.environ.get("RAGSTORE_TEST_DATABASE_URL"):
        with borrow_database(url) as borrowed:
            yield borrowed
    elif docker_answers():
        from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - not every install has it

        with PostgresContainer(IMAGE, driver="asyncpg") as container:
            yield container.get_connection_url()
    else:
        with start_embedded(folder, memory_mb=MEMORY_MB, settings=UNSAFE) as server:
            yield server.url


def docker_answers() -> bool:
    if not (os.environ.get("DOCKER_HOST") or Path("/var/run/docker.sock").exists()):
        return False  # asked first: a client that fails to connect leaks its socket
    if importlib.util.find_spec("testcontainers") is None:
        return False
    import docker  # noqa: PLC0415 - comes with testcontainers

    try:
        docker.from_env(timeout=2).ping()
    except docker.errors.DockerException:
        return False
    return True


@contextmanager
def borrow_database(url: str) -> Iterator[str]:
    """One of its own on somebody's server."""
    name = f"ragstore_test_{uuid4().hex}"
    with BackgroundLoop() as background:
        background.run(run_alone(url, f"CREATE DATABASE {name}"))
        try:
            yield make_url(url).set(database=name).render_as_string(hide_password=False)
        finally:
            background.run(run_alone(url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


async def run_alone(url: str, statement: str) -> None:
    """Outside any transaction, as databases are made and dropped."""
    database = Database.connect(url, Settings())
    try:
        async with database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql(statement)
    finally:
        await database.close()
