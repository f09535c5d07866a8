"""The Postgres that ragstore starts itself when no database is configured.

Standard library only, because the supervisor process imports this package without site-packages.
"""

from ragstore.embedded.server import EmbeddedServer, start_embedded

__all__ = ["EmbeddedServer", "start_embedded"]
