"""The `ragstore` command. Each command's module is thin; what only one of them needs is imported when it runs."""

from typing import Annotated

import typer

import ragstore
from ragstore.cli import (
    demo,
    doctor,
    evaluate,
    exporting,
    importing,
    ingest,
    keys,
    migrate,
    reembed,
    search,
    serve,
    tenants,
    worker,
)
from ragstore.cli.failures import OneLineFailures

app = typer.Typer(
    cls=OneLineFailures,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.command("demo")(demo.demo)
app.command("ingest")(ingest.ingest)
app.command("export")(exporting.export)
app.command("import")(importing.import_)
app.command("search")(search.search)
app.command("reembed")(reembed.reembed)
app.command("eval")(evaluate.evaluate)
app.command("doctor")(doctor.doctor)
app.command("migrate")(migrate.migrate)
app.add_typer(tenants.app, name="tenants")
app.add_typer(keys.app, name="keys")


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ragstore {ragstore.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """The document store for retrieval-augmented generation: ingest, search and chat history on one Postgres.

    Settings are `RAGSTORE_*` environment variables. To see it at work: `ragstore demo`
    """
