"""`ragstore keys`: for operators; within a tenant `/v1/keys` does the same."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from ragstore.tenant.schemas import KeyRead, Scope

app = typer.Typer(no_args_is_help=True, help="API keys of a tenant. Needs the owner of the database.")

Tenant = Annotated[str, typer.Option(help="The tenant's name.")]


@app.command("list")
def show_keys(tenant: Tenant = "default") -> None:
    """Every key of a tenant, oldest first: prefix, scopes, state, last use.

    Example: `ragstore keys list --tenant acme`
    """
    from ragstore.cli import administration  # noqa: PLC0415 - as for serve

    for key in administration.run_as_owner(lambda owner: administration.list_keys(owner, tenant)):
        used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
        typer.echo(f"{key.id}  {key.prefix:<24} {','.join(key.scopes):<12} {describe(key):<24} {used:<22} {key.name}")


@app.command("add")
def issue_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    tenant: Tenant = "default",
    scope: Annotated[list[Scope] | None, typer.Option(help="What it may do; each includes the ones before.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=36500, help="Days until it expires.")] = None,
) -> None:
    """Issue a key. It is printed this once: only its digest is stored.

    Example: `ragstore keys add pipeline --scope write --days 90`
    """
    from ragstore.cli import administration  # noqa: PLC0415 - as for serve

    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    issued = administration.run_as_owner(
        lambda owner: administration.issue_key(owner, tenant, name, scope or [Scope.READ], expires_at)
    )
    typer.echo(issued.key)


@app.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(help="The key's id or prefix, as `keys list` shows them.")],
    tenant: Tenant = "default",
) -> None:
    """Revoke a key for ever; running services notice within ten seconds.

    Example: `ragstore keys revoke rs_x7Kp2mQz`
    """
    from ragstore.cli import administration  # noqa: PLC0415 - as for serve

    revoked = administration.run_as_owner(lambda owner: administration.revoke_key(owner, tenant, key))
    typer.echo(f"{revoked.prefix} is revoked.")


def describe(key: KeyRead) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is not None:
        over = key.expires_at <= datetime.now(UTC)
        return f"{'expired' if over else 'until'} {key.expires_at:%Y-%m-%d}"
    return "valid"
