"""`ragstore tenants`: made here and nowhere else."""

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Tenants, which see nothing of each other. Needs the database's owner.")

Name = Annotated[str, typer.Argument(help="The tenant's name.")]


@app.command("list")
def show_tenants() -> None:
    """Every tenant, by name.

    Example: `ragstore tenants list`
    """
    from ragstore.cli.administration import list_tenants, run_as_owner  # noqa: PLC0415 - as for serve

    for tenant_id, name, created_at in run_as_owner(list_tenants):
        typer.echo(f"{tenant_id}  {created_at:%Y-%m-%d %H:%M}  {name}")


@app.command("add")
def add_tenant(name: Name) -> None:
    """Make a tenant. Its first admin key is printed, this once.

    Example: `ragstore tenants add acme`
    """
    from ragstore.cli.administration import make_tenant, run_as_owner  # noqa: PLC0415 - as for serve

    typer.echo(run_as_owner(lambda owner: make_tenant(owner, name)))


@app.command("remove")
def remove_tenant(
    name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether to go ahead.")] = False
) -> None:
    """Delete a tenant with its keys, collections, documents and chats.

    Example: `ragstore tenants remove acme --yes`
    """
    from ragstore.cli import administration  # noqa: PLC0415 - as for serve

    if not yes:
        typer.confirm(f"Delete the tenant {name} and everything in it?", abort=True)
    administration.run_as_owner(lambda owner: administration.remove_tenant(owner, name))
    typer.echo(f"The tenant {name} is gone.")
