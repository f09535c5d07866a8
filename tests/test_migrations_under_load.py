"""The schema changes while requests run: none of them fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import ragstore.migrate
from ragstore.database import Database
from ragstore.migrate import find_migrations, latest_revision, migrate
from tests.builders import make_collection, open_session, upsert
from tests.conftest import ROLES, make_settings

NEXT = """
from alembic import op

revision = "next"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("document", "embedding", "chat_message"):
        op.execute(f"ALTER TABLE {{table}} ADD COLUMN probe text NOT NULL DEFAULT 'x'")
    op.execute("CREATE INDEX ix_probe ON chat_message (tenant_id, probe)")
    {failure}


def downgrade() -> None:
    op.execute("DROP INDEX ix_probe")
    for table in ("document", "embedding", "chat_message"):
        op.execute(f"ALTER TABLE {{table}} DROP COLUMN probe")
"""


def write_next_revision(folder: Path, monkeypatch: pytest.MonkeyPatch, failure: str = "") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "next_revision.py").write_text(NEXT.format(head=latest_revision(), failure=failure))

    def make_config() -> Config:
        config = Config()
        config.set_main_option("script_location", str(find_migrations()))
        config.set_main_option("version_locations", f"{find_migrations() / 'versions'}\n{folder}")
        config.set_main_option("path_separator", "newline")
        return config

    monkeypatch.setattr(ragstore.migrate, "make_config", make_config)


@contextlib.asynccontextmanager
async def traffic(client: httpx.AsyncClient, session_id: str) -> AsyncIterator[list[int]]:
    """Statuses of requests that go on until the end of the block."""
    statuses: list[int] = []
    stop = asyncio.Event()

    async def post(number: int) -> httpx.Response:
        body = {"documents": [{"key": f"{number % 7}", "content": f"text {number}"}]}
        return await client.post("/v1/collections/docs/documents", json=body)

    async def search(number: int) -> httpx.Response:
        return await client.post("/v1/collections/docs/search", json={"query": f"text {number}"})

    async def append(number: int) -> httpx.Response:
        body = {"role": "user", "content": f"{number}"}
        return await client.post(f"/v1/sessions/{session_id}/messages", json=body)

    async def repeat(call: Callable[[int], Awaitable[httpx.Response]]) -> None:
        number = 0
        while not stop.is_set():
            statuses.append((await call(number)).status_code)
            number += 1

    running = [asyncio.create_task(repeat(call)) for call in (post, search, search, append)]
    yield statuses
    stop.set()
    await asyncio.gather(*running)


async def test_no_request_fails_while_the_schema_goes_up_and_down(
    wide_client: httpx.AsyncClient, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_collection(wide_client)
    await upsert(wide_client, *[{"key": f"{number}", "content": f"text {number}"} for number in range(100)])
    session_id = await open_session(wide_client)
    head = latest_revision()
    write_next_revision(tmp_path / "versions", monkeypatch)
    owner = Database.connect(database_url, make_settings(database_url))
    async with traffic(wide_client, session_id) as statuses:
        assert await migrate(owner, ROLES, "next") == "next"
        await asyncio.sleep(0.3)
        assert await migrate(owner, ROLES, head) == head
        await asyncio.sleep(0.3)
    await owner.close()
    assert set(statuses) <= {200, 201}
    assert len(statuses) > 20


async def test_a_migration_that_meets_a_lock_lets_requests_pass_and_comes_back(
    wide_client: httpx.AsyncClient, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_collection(wide_client)
    write_next_revision(tmp_path / "versions", monkeypatch)
    owner = Database.connect(database_url, make_settings(database_url))
    async with owner.transaction() as session:
        await (await session.connection()).execute(text("SELECT count(*) FROM document"))
        migrating = asyncio.create_task(migrate(Database.connect(database_url, make_settings(database_url)), ROLES))
        await asyncio.sleep(1)
        assert not migrating.done()
        (result,) = await upsert(wide_client, {"key": "a", "content": "text"})
        assert result["status"] == "created"
    assert await migrating == "next"
    await owner.close()


async def test_a_migration_that_fails_says_why_and_leaves_no_lock(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = latest_revision()
    write_next_revision(tmp_path / "versions", monkeypatch, failure='op.execute("SELECT 1/0")')
    owner = Database.connect(database_url, make_settings(database_url))
    with pytest.raises(DBAPIError, match="division by zero"):
        await migrate(owner, ROLES)
    assert await asyncio.wait_for(migrate(owner, ROLES, head), 10) == head
    await owner.close()
