from typing import Annotated

import typer

from ragstore.settings import load_settings


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that answer requests.")] = 1,
    parent_pid: Annotated[int | None, typer.Option(hidden=True, help="Stop when this process has ended.")] = None,
) -> None:
    """Run the service until Ctrl-C.

    Without RAGSTORE_DATABASE_URL it starts the embedded Postgres in the data directory (`.ragstore`). It brings the
    database to this version's schema first. On a new database it makes an admin key.

    Example: `ragstore serve --port 8000 --workers 2`
    """
    from ragstore.cli.service import Listen, run_service  # noqa: PLC0415 - commands that only ask need no database

    run_service(load_settings(), Listen(host, port, workers), parent_pid)
