"""A real ragstore for your own tests: `run_ragstore` anywhere, and pytest fixtures in `ragstore.testing.fixtures`."""

from ragstore.testing.server import FreshStore, RagstoreServer, run_ragstore, run_server

__all__ = ["FreshStore", "RagstoreServer", "run_ragstore", "run_server"]
