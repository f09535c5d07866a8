from typing import Annotated

import typer

from ragstore.settings import load_settings


def migrate(
    to: Annotated[str, typer.Option(help="A revision, `-1` for one back, or `base` for an empty database.")] = "head",
) -> None:
    """Bring the database to this version's schema, or to another revision.

    Uses RAGSTORE_OWNER_DATABASE_URL if it is set, else RAGSTORE_DATABASE_URL, else the embedded Postgres.
    With RAGSTORE_ADMIN_KEY it also makes tenant `default` on a new database, and that key.
    Downgrading drops the tables, and the data in them, that newer revisions brought.

    Example: `ragstore migrate`, or one revision back: `ragstore migrate --to -1`
    """
    from ragstore.cli.preparation import migrate_database, run_database  # noqa: PLC0415 - as for serve

    with run_database(load_settings()) as settings:
        reached = migrate_database(settings, to)
    typer.echo(f"The database is at revision {reached}." if reached else "The database has no revision: it is empty.")
