"""Postgres addresses as people have them, to what asyncpg takes."""

import ssl
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ragstore.errors import ConfigurationError

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# libpq parameters asyncpg negotiates by itself
WITHOUT_EFFECT = ("channel_binding", "gssencmode", "sslsni", "sslnegotiation")
TAKEN_BY_DRIVER = ("host", "port", "target_session_attrs", "passfile")


def parse_database_url(url: str) -> tuple[URL, dict[str, Any]]:
    """The SQLAlchemy URL and asyncpg's connect arguments of a `postgres://` or `postgresql://` address.

    Understands `sslmode`, `sslrootcert`, `connect_timeout`, `application_name` and several hosts.
    Raises ConfigurationError that never shows the address: it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError("The database URL cannot be understood; it is postgresql://user@host/name") from None
    if parsed.drivername not in ("postgres", "postgresql", "postgresql+asyncpg"):
        raise ConfigurationError(f"The database URL must be postgresql://, not {parsed.drivername}://")
    query = {name: value for name, value in parsed.query.items() if name not in WITHOUT_EFFECT}
    arguments: dict[str, Any] = {}
    if timeout := query.pop("connect_timeout", None):
        arguments["timeout"] = float(str(timeout))
    if name := query.pop("application_name", None):
        arguments["server_settings"] = {"application_name": str(name)}
    mode, root = query.pop("sslmode", query.pop("ssl", None)), query.pop("sslrootcert", None)
    if mode is not None or root is not None:
        arguments["ssl"] = make_ssl(str(mode or "verify-ca"), root)
    if unknown := [name for name in query if name not in TAKEN_BY_DRIVER]:
        raise ConfigurationError(f"The database URL has parameters ragstore does not know: {', '.join(unknown)}")
    return parsed.set(drivername="postgresql+asyncpg", query=query), arguments


def make_ssl(mode: str, root: object) -> str | ssl.SSLContext:
    if mode not in SSL_MODES:
        raise ConfigurationError(f"sslmode of the database URL must be one of {', '.join(SSL_MODES)}")
    if root is None or root == "system":
        return mode
    try:
        context = ssl.create_default_context(cafile=str(root))
    except OSError as error:
        raise ConfigurationError(f"sslrootcert of the database URL cannot be read: {error.strerror}") from None
    context.check_hostname = mode == "verify-full"
    return context
