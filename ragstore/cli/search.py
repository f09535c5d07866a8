import sys
import time
from itertools import islice
from typing import Annotated, Any

import msgspec
import typer

from ragstore.cli.explaining import describe_weight, list_remarks, make_plans_table, make_timings_table
from ragstore.cli.hits import count_hits, make_table
from ragstore.cli.ingest import DEFAULT_COLLECTION
from ragstore.cli.screen import out, say
from ragstore.client import Client, RagstoreClientError, find_service
from ragstore.client.search import QuestionOptions
from ragstore.search.schemas import Explanation, Mode, SearchResults
from ragstore.settings import load_settings

MOST_NAMES = 10
NOT_FOUND = 404

Collections = Annotated[
    list[str] | None, typer.Option(help=f"Where to look; repeatable. Default: {DEFAULT_COLLECTION}.")
]
HowToSearch = Annotated[Mode | None, typer.Option(help="By meaning, by words, or by both (the default).")]
TopK = Annotated[int, typer.Option(min=1, max=1000, help="Passages wanted; with --group, documents.")]
JsonFilter = Annotated[str | None, typer.Option(metavar="JSON", help='Such as \'{"year": {"$gte": 2020}}\'.')]
MinScore = Annotated[float | None, typer.Option(help="Only hits with this score or more.")]
Group = Annotated[
    int | None, typer.Option(min=1, max=100, metavar="N", help="At most N passages of each document, together.")
]
Diversity = Annotated[float, typer.Option(min=0, max=1, help="0 the best, 1 the most different.")]
Neighbors = Annotated[int, typer.Option(min=0, max=20, help="Passages to show before and after each.")]
Exact = Annotated[bool, typer.Option("--exact", help="Compare every vector; slower.")]
Explain = Annotated[bool, typer.Option("--explain", help="Show how it was found, and how long each part took.")]


def search(
    query: Annotated[str, typer.Argument(help="What to look for.", metavar="QUERY")],
    collection: Collections = None,
    mode: HowToSearch = None,
    top_k: TopK = 5,
    filter: JsonFilter = None,
    min_score: MinScore = None,
    group: Group = None,
    diversity: Diversity = 0,
    neighbors: Neighbors = 0,
    exact: Exact = False,
    explain: Explain = False,
    json: Annotated[bool, typer.Option("--json", help="The service's answer as JSON.")] = False,
) -> None:
    """Find the passages that answer a question.

    Quotes hold words that must stand together, a minus a word that must not be there; the words found are in bold.
    A query that begins with a minus goes after `--`.

    Example: `ragstore search '"rotate a key" -password' --collection handbook --top-k 3`
    """
    options = QuestionOptions(
        mode=mode, top_k=top_k, filter=read_filter(filter), min_score=min_score, diversity=diversity,
        neighbors=neighbors, exact=exact, explain=explain, highlight=True, include=("content", "metadata", "scores"),
    )  # fmt: skip
    if group is not None:
        options |= {"group_by": "document", "per_group": group}
    found, milliseconds = ask(list(dict.fromkeys(collection or [DEFAULT_COLLECTION])), query, options)
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        show(found, milliseconds)


def ask(collections: list[str], query: str, options: QuestionOptions) -> tuple[SearchResults, float]:
    """With the milliseconds it took."""
    address = find_service(load_settings())
    with Client(address.url, address.api_key) as client:
        begun = time.perf_counter()
        try:
            if len(collections) == 1:
                found = client.search(collections[0], query, **options)
            else:
                found = client.search_across(collections, query, **options)
        except RagstoreClientError as error:
            if error.status != NOT_FOUND:
                raise
            raise RagstoreClientError(f"{error.detail} {list_names(client)}", status=error.status) from None
        return found, (time.perf_counter() - begun) * 1000


def list_names(client: Client) -> str:
    names = [one.name for one in islice(client.list_collections(), MOST_NAMES + 1)]
    if not names:
        return "There are none yet: `ragstore ingest` makes one."
    more = " and more" if len(names) > MOST_NAMES else ""
    return f"There are: {', '.join(names[:MOST_NAMES])}{more}."


def show(found: SearchResults, milliseconds: float) -> None:
    if found.hits:
        out.print(make_table(found.hits))
    say(f"{count_hits(found.hits)} in {milliseconds:.0f} ms")
    for warning in found.warnings or ():
        say(warning, style="yellow")
    if isinstance(found.explain, Explanation):
        say()
        say(describe_weight(found.explain))
        out.print(make_plans_table(found.explain.plans))
        for remark in list_remarks(found.explain.plans):
            say(remark)
        out.print(make_timings_table(found.explain.timings))


def read_filter(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise typer.BadParameter(f"is not a JSON object: {error}", param_hint="--filter") from None
