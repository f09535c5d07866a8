from collections.abc import AsyncIterator

import pytest

from tests.ingestion.kit import Workplace, open_workplace
from tests.job.conftest import queue
from tests.job.kit import Queue

__all__ = ["queue"]


@pytest.fixture
async def workplace(queue: Queue) -> AsyncIterator[Workplace]:
    async with open_workplace(queue) as place:
        yield place
