"""Which Postgres and pgvector the service works with, and which are known to have holes."""

from dataclasses import dataclass

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
HOLE = "CVE-2026-14662"  # an undersized allocation in tsvector and tsquery, reached by a document's own text
MENDED_MINORS = {16: 15, 17: 11, 18: 6}

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Versions:
    """Of the server that a connection talks to; `vector` is None where pgvector is not installed."""

    major: int
    minor: int
    vector: str | None
    embedded: bool

    @property
    def server(self) -> str:
        return f"{self.major}.{self.minor}"

    @property
    def mended(self) -> str | None:
        """The first minor release without the known hole, when this one has it."""
        minor = MENDED_MINORS.get(self.major, 0)
        return f"{self.major}.{minor}" if self.minor < minor else None


def read_versions(connection: Connection) -> Versions:
    server, vector, cluster = connection.execute(ASKED).one()
    major, minor = divmod(server, 10_000)
    return Versions(major, minor, vector, cluster == EMBEDDED)


def check_versions(connection: Connection) -> None:
    """Raises ConfigurationError for versions too old; warns of a minor release with a known hole."""
    found = read_versions(connection)
    if (fault := explain_too_old(found)) is not None:
        raise ConfigurationError(fault)
    if found.mended and not found.embedded:  # whose users docs/embedded.md tells
        log.warning(
            f"PostgreSQL has a known hole ({HOLE}): do not index text of strangers with it",
            version=found.server,
            mended=found.mended,
        )


def explain_too_old(found: Versions) -> str | None:
    if found.major < OLDEST_SERVER:
        return f"ragstore needs PostgreSQL {OLDEST_SERVER} or later, this is {found.server}."
    if found.vector is not None and read_version(found.vector) < OLDEST_VECTOR:
        return f"ragstore needs pgvector 0.8.4 or later, this is {found.vector}."
    return None


def read_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
