"""Failures a person can act on, as one line on standard error and exit code 1."""

from typing import Any

import typer
from typer.core import TyperGroup

from ragstore.client import RagstoreClientError
from ragstore.errors import RagstoreError

INTERRUPTED = 130


class OneLineFailures(TyperGroup):
    """What is not expected keeps its traceback: it is a fault of ragstore."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except (RagstoreError, RagstoreClientError) as error:
            typer.echo(f"ragstore: {explain(error)}", err=True)
            raise typer.Exit(1) from None


def explain(error: RagstoreError | RagstoreClientError) -> str:
    """The detail, and of the fields that are wrong those it does not name."""
    unnamed = [f"{one.path} {one.message}" for one in error.errors if one.path not in error.detail]
    return " ".join("; ".join([error.detail, *unnamed]).split())
