"""Sets the scene of a run: a cluster, the service, a worker, each with its failpoints; and clears it away."""

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from bench.crash.calls import Connection
from bench.crash.cluster import Cluster
from bench.crash.faults import LEASE, Armed, Surgeon
from bench.crash.harness import KEY, Harness, Options
from bench.crash.model import Tally
from bench.crash.processes import Supervised, free_port, serve, work
from bench.crash.questions import Questions
from ragstore.cli.preparation import prepare_database
from ragstore.failpoints import VARIABLE
from ragstore.settings import Settings


@contextmanager
def running(options: Options) -> Iterator[Harness]:
    with tempfile.TemporaryDirectory(prefix="ragstore-crash-") as name:
        folder = Path(name)
        cluster = Cluster.make(folder / "cluster")
        cluster.start()
        started: list[Supervised] = []
        try:
            prepare_database(make_settings(folder, cluster.url))
            yield start(options, folder, cluster, started)
        finally:
            for one in started:
                one.stop()
            cluster.stop()


def start(options: Options, folder: Path, cluster: Cluster, started: list[Supervised]) -> Harness:
    port, environment = free_port(), make_environment(folder, cluster.url)
    service_failpoints, worker_failpoints = Armed(folder / "service"), Armed(folder / "worker")
    service = serve(environment | {VARIABLE: f"@{service_failpoints.file}"}, port, folder / "service.out")
    worker = work(environment | {VARIABLE: f"@{worker_failpoints.file}"}, folder / "worker.out")
    for one in (service, worker):
        started.append(one)
        one.start()
    tally, questions = Tally(), Questions(cluster)
    chance = random.Random(options.seed)
    surgeon = Surgeon(cluster, service, worker, service_failpoints, worker_failpoints, tally, questions, chance)
    return Harness(options, folder, surgeon, questions, Connection(port, KEY), tally)


def make_environment(folder: Path, url: str) -> dict[str, str]:
    """What the machine has set is no part of it."""
    own = {
        "RAGSTORE_DATABASE_URL": url,
        "RAGSTORE_DATA_DIR": str(folder / "data"),
        "RAGSTORE_ADMIN_KEY": KEY,
        "RAGSTORE_EMBEDDING_MODEL": "local",
        "RAGSTORE_LOG_LEVEL": "warning",
        "RAGSTORE_JOB_LEASE": str(LEASE),
        "RAGSTORE_JOB_RETRY_DELAY": "0.2",
        "RAGSTORE_SHUTDOWN_TIMEOUT": "5",
    }
    return {name: value for name, value in os.environ.items() if not name.startswith(("RAGSTORE_", "OPENAI_"))} | own


def make_settings(folder: Path, url: str) -> Settings:
    values = {"database_url": SecretStr(url), "data_dir": folder / "data", "admin_key": SecretStr(KEY)}
    return Settings.model_validate(values)
