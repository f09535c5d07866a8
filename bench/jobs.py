"""The job queue: enqueued and completed a second, from commit to handler, and from a SIGKILL to the next attempt.

    python -m bench.jobs [--lease 30]

On an embedded database of its own. The worker runs in this process, as in `ragstore serve`; the one that is killed is a
process of its own, killed right after it claimed, which is the worst moment.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from ragstore.cli.preparation import prepare_database
from ragstore.database import Database
from ragstore.embedded import start_embedded
from ragstore.job.context import Handler, JobContext
from ragstore.job.listener import Listener
from ragstore.job.service import enqueue
from ragstore.job.worker import Worker, WorkerOptions
from ragstore.logs import configure_logs
from ragstore.settings import Settings
from ragstore.tenant.queries import list_tenants

JOBS = 2000


def connect(settings: Settings, *, as_owner: bool = False) -> Database:
    assert settings.database_url is not None
    role = None if as_owner else settings.app_role
    return Database.connect(settings.database_url.get_secret_value(), settings, role=role)


@asynccontextmanager
async def working(settings: Settings, handler: Handler, concurrency: int, lease: float) -> AsyncIterator[Worker]:
    database = connect(settings)
    options = WorkerOptions(concurrency, lease)
    worker = Worker(database, Listener(connect(settings)), {"bench": handler}, options)
    worker.start()
    while not worker.listener.connected:  # noqa: ASYNC110  # nobody else needs to know
        await asyncio.sleep(0.01)
    yield worker
    await worker.stop(1)
    await database.close()


async def enqueue_many(database: Database, tenant_id: uuid.UUID, count: int, each: int, clients: int = 4) -> float:
    """Seconds for `count` jobs, `each` a transaction."""

    async def client(transactions: int) -> None:
        for _ in range(transactions):
            async with database.transaction(tenant_id) as session:
                for _ in range(each):
                    await enqueue(session, tenant_id, "bench")

    began = time.perf_counter()
    await asyncio.gather(*(client(count // each // clients) for _ in range(clients)))
    return time.perf_counter() - began


async def complete_all(settings: Settings, concurrency: int) -> float:
    """Seconds for JOBS jobs that wait already."""
    done, finished = 0, asyncio.Event()

    async def work(context: JobContext) -> None:
        nonlocal done
        done += 1
        if done == JOBS:
            finished.set()

    began = time.perf_counter()
    async with working(settings, work, concurrency, 30):
        await finished.wait()
        return time.perf_counter() - began


async def measure_waking(settings: Settings, database: Database, tenant_id: uuid.UUID, count: int) -> list[float]:
    latencies: list[float] = []
    started: asyncio.Queue[float] = asyncio.Queue()

    async def work(context: JobContext) -> None:
        started.put_nowait(time.perf_counter())

    async with working(settings, work, 4, 30):
        for _ in range(count):
            await asyncio.sleep(0.01)
            await enqueue_many(database, tenant_id, 1, 1, 1)
            committed = time.perf_counter()
            latencies.append(max(await started.get() - committed, 0.0))
    return latencies


async def measure_resume(settings: Settings, database: Database, tenant_id: uuid.UUID, lease: float) -> float:
    """Seconds from the kill to the next attempt."""
    resumed: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def work(context: JobContext) -> None:
        resumed.set_result(time.perf_counter())

    assert settings.database_url is not None
    command = [sys.executable, "-m", "bench.jobs", "--hold", settings.database_url.get_secret_value()]
    holder = subprocess.Popen(  # noqa: ASYNC220  # at once
        [*command, "--lease", str(lease)], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    await asyncio.to_thread(holder.stdout.readline)
    await enqueue_many(database, tenant_id, 1, 1, 1)
    await asyncio.to_thread(holder.stdout.readline)
    async with working(settings, work, 4, lease):
        holder.kill()
        killed = time.perf_counter()
        holder.communicate()
        return await resumed - killed


async def hold(settings: Settings, lease: float) -> None:
    """Claims a job and never ends."""

    async def work(context: JobContext) -> None:
        print("claimed", flush=True)
        await asyncio.sleep(3600)

    async with working(settings, work, 1, lease):
        print("listening", flush=True)
        await asyncio.sleep(3600)


async def measure(settings: Settings, lease: float) -> None:
    owner = connect(settings, as_owner=True)
    async with owner.transaction() as session:
        tenant_id: uuid.UUID = (await list_tenants(session))[0].id
    await owner.close()
    database = connect(settings)
    for each in (1, 100):
        seconds = await enqueue_many(database, tenant_id, JOBS, each)
        print(f"enqueue, {each:>3} a transaction, 4 clients   {JOBS / seconds:8.0f} jobs/s")
        concurrency = 4 if each == 1 else 16
        seconds = await complete_all(settings, concurrency)
        print(f"complete, {concurrency:>2} at once                 {JOBS / seconds:8.0f} jobs/s")
    waking = sorted(await measure_waking(settings, database, tenant_id, 500))
    p50, p99 = statistics.median(waking) * 1000, waking[int(0.99 * len(waking))] * 1000
    print(f"from commit to handler                p50 {p50:6.2f} ms   p99 {p99:6.2f} ms")
    for each_lease in (2.0, lease):
        worst = max([await measure_resume(settings, database, tenant_id, each_lease) for _ in range(2)])
        print(f"resumed after SIGKILL, lease {each_lease:4.0f} s   {worst:8.2f} s")
    await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lease", type=float, default=30)
    parser.add_argument("--hold", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    configure_logs(Settings(log_level="error"))
    if arguments.hold:
        settings = Settings.model_validate({"database_url": SecretStr(arguments.hold)})
        asyncio.run(hold(settings, arguments.lease))
    with (
        tempfile.TemporaryDirectory(prefix="ragstore-bench-") as folder,
        start_embedded(Path(folder) / "data") as server,
    ):
        values = {"database_url": SecretStr(server.url), "data_dir": Path(folder) / "data", "pool_size": 20}
        settings = Settings.model_validate(values)
        prepare_database(settings)
        asyncio.run(measure(settings, arguments.lease))


if __name__ == "__main__":
    main()
