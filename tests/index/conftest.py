from collections.abc import AsyncIterator

import pytest

from ragstore.database import Database
from tests.conftest import make_settings
from tests.job.conftest import queue

__all__ = ["queue"]


@pytest.fixture
async def writer(database_url: str) -> AsyncIterator[Database]:
    """Somebody else's connection."""
    database = Database.connect(database_url, make_settings(database_url))
    yield database
    await database.close()
