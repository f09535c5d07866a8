"""What the second wall costs: row-level security on against off for search and append, and the check of a key.

    python -m bench.walls DIR

The same statements in the same transactions, turn by turn: once as the role of the service, which the policies bind,
once as the superuser, whom they do not.
"""

import argparse
import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.measure import Bench, Caller, describe, post_corpus, read_corpus, read_queries, run_bench
from ragstore.chat.messages.service import MessageService
from ragstore.chat.schemas import MessageAppend, SessionCreate
from ragstore.chat.sessions.service import SessionService
from ragstore.collection.handles import CollectionHandles
from ragstore.database import Database, TenantDatabase
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.search.samples import Samples
from ragstore.search.schemas import SearchRequest
from ragstore.search.service import SearchService
from ragstore.search.tuning import Tuning
from ragstore.settings import Settings
from ragstore.tenant.queries import list_tenants
from ragstore.tenant.service import Authenticator

Work = Callable[[TenantDatabase], Awaitable[object]]


async def alternate(
    inside: TenantDatabase, outside: TenantDatabase, works: list[Work]
) -> tuple[list[float], list[float]]:
    """Seconds with the wall and without it."""
    walled: list[float] = []
    free: list[float] = []
    for number, work in enumerate(works):
        turns = [(inside, walled), (outside, free)]
        for database, times in turns if number % 2 else reversed(turns):
            started = time.perf_counter()
            await work(database)
            times.append(time.perf_counter() - started)
    return walled, free


async def open_session(database: TenantDatabase) -> uuid.UUID:
    async with database.transaction() as session:
        opened, _ = await SessionService(session, database.tenant_id).open(SessionCreate())
    return opened.id


async def measure(bench: Bench, queries: list[str]) -> None:
    settings = Settings.model_validate({"database_url": bench.database_url, "log_level": "warning"})
    app = Database.connect(bench.database_url, settings, role=settings.app_role)
    owner = Database.connect(bench.database_url, settings)
    async with owner.transaction() as session:
        tenant_id = (await list_tenants(session))[0].id
    inside, outside = TenantDatabase(app, tenant_id), TenantDatabase(owner, tenant_id)
    embedders, handles = EmbedderRegistry(settings), CollectionHandles()
    await embedders.load()
    session_id = await open_session(inside)

    def search(query: str) -> Work:
        request = SearchRequest(query=query, mode="vector")
        return lambda database: SearchService(database, embedders, Tuning(), handles, Samples()).search(
            "bench", request
        )

    async def append(database: TenantDatabase) -> None:
        async with database.transaction() as session:
            await MessageService(session, tenant_id).append(session_id, MessageAppend(role="user", content="hello"))

    runs: dict[str, list[Work]] = {"search": [search(query) for query in queries], "append": [append] * 500}
    for name, works in runs.items():
        walled, free = await alternate(inside, outside, works)
        print(describe(f"{name}, without the wall", free[20:]))
        print(describe(f"{name}, with it", walled[20:], free[20:]))
    authenticator = Authenticator(app)
    looked_up: list[float] = []
    remembered: list[float] = []
    for _ in range(300):
        authenticator.forget()
        for times in (looked_up, remembered):
            started = time.perf_counter()
            await authenticator.authenticate(bench.address.api_key)
            times.append(time.perf_counter() - started)
    print(describe("key looked up in the database", looked_up[20:]))
    print(describe("key seen in the last ten seconds", remembered[20:]))
    await app.close()
    await owner.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=int, default=300)
    arguments = parser.parse_args()
    documents = read_corpus(arguments.folder)
    with run_bench() as bench:
        caller = Caller(bench.address)
        caller.call("POST", "/v1/collections", {"name": "bench"})
        post_corpus(caller, "bench", documents)
        time.sleep(5)  # the vacuum after the import
        asyncio.run(measure(bench, read_queries(arguments.folder, arguments.queries)))


if __name__ == "__main__":
    main()
