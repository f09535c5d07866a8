"""The roles of the cluster: one that the service acts as and that owns nothing, one that owns what crosses tenants, one
that only reads.
"""

import re
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ragstore.database_url import parse_database_url
from ragstore.errors import ConfigurationError
from ragstore.settings import Settings
from ragstore.sqlstate import find_sqlstate

ROLE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,50}")
NO_RIGHT = "42501"


@dataclass(frozen=True)
class Roles:
    """`app` is what every connection of the service acts as; `login` is who it logs in as, when that is another role
    than the owner's.
    """

    app: str
    login: str | None = None

    @property
    def definer(self) -> str:
        return f"{self.app}_definer"

    @property
    def reader(self) -> str:
        """For reports: it sees the views of the schema `ragstore`, and of the tables what they show."""
        return f"{self.app}_reader"

    def by_purpose(self) -> dict[str, str]:
        """As migrations know them."""
        return {"app_role": self.app, "definer_role": self.definer, "reader_role": self.reader}

    def __post_init__(self) -> None:
        for name in filter(None, (self.app, self.login)):
            if not ROLE_NAME.fullmatch(name):
                raise ConfigurationError(f"{name!r} cannot be a role: small letters, digits and _ only.")


def choose_roles(settings: Settings) -> Roles:
    """With two URLs the service's login must be let act as the app role."""
    if settings.owner_database_url is None or settings.database_url is None:
        return Roles(settings.app_role)
    url, _ = parse_database_url(settings.database_url.get_secret_value())
    return Roles(settings.app_role, url.username)


def ensure_roles(connection: Connection, roles: Roles) -> None:
    """Make the roles that are missing. Raises ConfigurationError with the statements when the owner may not."""
    try:
        for name in (roles.app, roles.definer, roles.reader):
            ensure_role(connection, name)
        if roles.login and roles.login != roles.app:
            connection.execute(text(f"GRANT {roles.app} TO {roles.login} WITH SET TRUE"))
    except DBAPIError as error:
        if find_sqlstate(error) != NO_RIGHT:
            raise
        raise ConfigurationError(
            f"The owner may not make roles. As a superuser run: CREATE ROLE {roles.app}; CREATE ROLE {roles.definer};"
            f" CREATE ROLE {roles.reader}; GRANT {roles.app}, {roles.definer}, {roles.reader} TO <owner>"
            " WITH ADMIN TRUE, SET TRUE, INHERIT FALSE;"
        ) from error


def ensure_role(connection: Connection, name: str) -> None:
    known = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name})
    if not known:
        connection.execute(text(f"CREATE ROLE {name} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"))
    may_act = connection.scalar(text("SELECT pg_has_role(current_user, :name, 'SET')"), {"name": name})
    if not may_act:
        # to hand functions over to it; without inheriting, so that the owner sees no tenant's rows by it
        connection.execute(text(f"GRANT {name} TO CURRENT_USER WITH SET TRUE, INHERIT FALSE"))
