import sys
import time
from typing import Annotated, Any

import msgspec
import typer

from ragstore.cli.hits import count_hits, make_table
from ragstore.cli.ingest import DEFAULT_COLLECTION
from ragstore.cli.screen import out, say
from ragstore.client import Client, find_service
from ragstore.search.schemas import Mode
from ragstore.settings import load_settings


def search(
    query: Annotated[str, typer.Argument(help="What to look for.", metavar="QUERY")],
    collection: Annotated[str, typer.Option(help="Where to look.")] = DEFAULT_COLLECTION,
    top_k: Annotated[int, typer.Option(min=1, max=1000, help="Passages wanted.")] = 5,
    filter: Annotated[str | None, typer.Option(metavar="JSON", help='Such as \'{"year": {"$gte": 2020}}\'.')] = None,
    mode: Annotated[Mode | None, typer.Option(help="How to search; the service chooses by itself.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The service's answer as JSON.")] = False,
) -> None:
    """Find the passages that answer a question.

    Example: `ragstore search "how do I rotate a key?" --collection handbook --top-k 3`
    """
    condition = read_filter(filter)
    address = find_service(load_settings())
    with Client(address.url, address.api_key) as client:
        begun = time.perf_counter()
        found = client.search(collection, query, mode=mode, top_k=top_k, filter=condition)
        milliseconds = (time.perf_counter() - begun) * 1000
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
        return
    if found.hits:
        out.print(make_table(found.hits, query))
    say(f"{count_hits(found.hits)} in {milliseconds:.0f} ms")


def read_filter(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise typer.BadParameter(f"is not a JSON object: {error}", param_hint="--filter") from None
