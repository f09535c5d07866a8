"""For a `conftest.py`: `pytest_plugins = ["ragstore.testing.fixtures"]`.

Not loaded by itself wherever ragstore is installed: suites without such tests would pay for the import.
"""

from collections.abc import Iterator

import pytest

from ragstore.testing.server import FreshStore, RagstoreServer, run_server


@pytest.fixture(scope="session")
def ragstore_server() -> Iterator[RagstoreServer]:
    """The service behind every `ragstore` of the run; with pytest-xdist one for each worker."""
    with run_server() as server:
        yield server


@pytest.fixture
def ragstore(ragstore_server: RagstoreServer) -> Iterator[FreshStore]:
    """An empty store with `.client`, `.url` and `.api_key`."""
    with ragstore_server.fresh_store() as store:
        yield store
