"""Which Postgres and pgvector the service works with, and which are known to have holes."""

import structlog
from sqlalchemy import Connection, text

from ragstore.errors import ConfigurationError

ASKED = text("""
    SELECT current_setting('server_version_num')::int AS server,
           (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS vector,
           current_setting('cluster_name') AS cluster
""")
OLDEST_SERVER = 16
OLDEST_VECTOR = (0, 8, 4)  # before it an index could be damaged while vacuum ran
EMBEDDED = "ragstore_embedded"
# CVE-2026-14662: an undersized allocation in tsvector and tsquery, reached by a document's own text
MENDED_MINORS = {16: 15, 17: 11, 18: 6}

log = structlog.get_logger(__name__)


def check_versions(connection: Connection) -> None:
    """Raises ConfigurationError for versions too old; warns of a minor release with a known hole."""
    server, vector, cluster = connection.execute(ASKED).one()
    major, minor = divmod(server, 10_000)
    if major < OLDEST_SERVER:
        raise ConfigurationError(f"ragstore needs PostgreSQL {OLDEST_SERVER} or later, this is {major}.{minor}.")
    if vector is not None and read_version(vector) < OLDEST_VECTOR:
        raise ConfigurationError(f"ragstore needs pgvector 0.8.4 or later, this is {vector}.")
    if minor < MENDED_MINORS.get(major, 0) and cluster != EMBEDDED:  # whose users docs/embedded.md tells
        log.warning(
            "PostgreSQL has a known hole (CVE-2026-14662): do not index text of strangers with it",
            version=f"{major}.{minor}",
            mended=f"{major}.{MENDED_MINORS[major]}",
        )


def read_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
