from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from ragstore.database import Database
from tests.job.kit import EFFECTS, Queue, connect


@pytest.fixture
async def queue(database_url: str, database: Database) -> AsyncIterator[Queue]:
    """Of the tenant `default`."""
    async with database.engine.begin() as connection:
        for statement in EFFECTS.split(";"):
            await connection.execute(text(statement))
        tenant_id = await connection.scalar(text("SELECT id FROM tenant WHERE name = 'default'"))
    app = connect(database_url)
    yield Queue(database_url, app, database, tenant_id)
    await app.close()
