import time
from typing import Annotated, Literal

import typer

from ragstore.cli.progress import show_progress
from ragstore.cli.screen import err, say
from ragstore.client import Client, find_service
from ragstore.reembedding.schemas import ReembedRead
from ragstore.settings import load_settings

POLL_SECONDS = 0.5
STUCK = ("failed", "cancelled")
Step = Literal["switch", "rollback", "finish", "give-up"]


def reembed(
    collection: Annotated[str, typer.Argument(help="The collection whose embedding model is to change.")],
    model: Annotated[str | None, typer.Option(help="The new embedding model.")] = None,
    then: Annotated[
        Step | None, typer.Option("--then", help="Instead of beginning: switch, rollback, finish or give-up.")
    ] = None,
    manual: Annotated[bool, typer.Option("--manual", help="Fill only; switch later by `--then switch`.")] = False,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Drop the old vectors after the switch.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and show how far it is.")] = False,
) -> None:
    """Change a collection's embedding model while it is searched and written to.

    The same command again takes up what was broken off. Exit code 1 if it failed while it was watched.

    Example: `ragstore reembed handbook --model text-embedding-3-large --watch`

    Example: `ragstore reembed handbook --then finish`
    """
    if (model is None) == (then is None):
        raise typer.BadParameter("needs --model, or --then with the next step", param_hint="reembed")
    address = find_service(load_settings())
    if then is not None:
        with Client(address.url, address.api_key) as client:
            take_step(client, collection, then)
        return
    assert model is not None  # noqa: S101  # one of the two is given
    with Client(address.url, address.api_key) as client:
        status = client.start_reembedding(
            collection, model, switch="manual" if manual else "auto", keep_old=not drop_old
        )
        if watch:
            status = follow(client, collection, status)
        searched = client.read_collection(collection).embedding_model
    show(status, collection, model, searched)
    if status.job is not None and status.job.state in STUCK:
        raise typer.Exit(1)


def take_step(client: Client, collection: str, step: Step) -> None:
    steps = {
        "switch": client.switch_model,
        "rollback": client.roll_back_model,
        "finish": client.finish_reembedding,
        "give-up": client.give_up_reembedding,
    }
    status = steps[step](collection)
    searched = client.read_collection(collection).embedding_model
    say(f"{collection} is searched with {searched}; the change is {status.state}")


def follow(client: Client, collection: str, status: ReembedRead) -> ReembedRead:
    """Until searches use the new model, or could, or it has failed."""
    with show_progress(f"Embedding {collection}", status.total or 0, "passages") as advance:
        seen = 0
        while True:
            done = status.done or 0
            advance(max(0, done - seen), max(0, done - seen))
            seen = max(seen, done)
            if status.state != "filling" or (status.job is not None and status.job.state in STUCK):
                return status
            time.sleep(POLL_SECONDS)
            status = client.read_reembedding(collection)


def show(status: ReembedRead, collection: str, model: str, searched: str) -> None:
    if status.job is not None and status.job.state in STUCK:
        reason = status.job.error.detail if status.job.error else f"the job was {status.job.state}"
        err.print(f"{collection} is still searched with {searched}: {reason}", soft_wrap=True)
        return
    if status.overlap is not None and status.overlap.queries:
        found = status.overlap
        say(f"Of the first ten, both models agree on {found.mean:.0%} (least {found.min:.0%}, {found.queries} queries)")
    match status.state:
        case "filling":
            say(f"{collection} is being changed to {model} in the background")
        case "ready":
            say(f"{collection} has all vectors of {model}, and is searched with {searched} until the switch")
        case "switched":
            say(f"{collection} is searched with {searched}; the old vectors stay until `--then finish`")
        case _:
            say(f"{collection} is searched with {searched}")
