"""What the demo shows once everything is loaded."""

import json
import shlex
import time
from uuid import uuid4

from ragstore.chat.schemas import MessageCreate, SessionCreate
from ragstore.cli.demo_corpus import CHAT_QUESTION, SEARCHES
from ragstore.cli.hits import count_hits, cut_snippet, make_table
from ragstore.cli.screen import out, say
from ragstore.client import Client
from ragstore.client.location import KEY_FILE
from ragstore.settings import Settings

TOP_K = 3
HEADING = "bold cyan"
QUOTE = 600


def show_searches(client: Client, collection: str, begun: float) -> None:
    """By meaning and by words together; one with a filter, one with words that must and must not be there."""
    for number, (query, filter) in enumerate(SEARCHES):
        asked = time.monotonic()
        hits = client.search(
            collection, query, filter=filter, top_k=TOP_K, highlight=True, include=("content", "scores")
        ).hits
        answered = time.monotonic()
        say()
        say(f"? {query}" + (f"   with the filter {json.dumps(filter)}" if filter else ""), style=HEADING)
        out.print(make_table(hits))
        say(f"{count_hits(hits)} in {(answered - asked) * 1000:.0f} ms")
        if number == 0:
            say(f"First answer after {answered - begun:.1f} s.", style="bold")


def show_chat(client: Client, collection: str) -> None:
    """Without a model: the best passage itself is the answer, with where it is from."""
    best = client.search(collection, CHAT_QUESTION, top_k=1, highlight=True).hits[0]
    quote = cut_snippet(best.content, best.highlights or (), QUOTE)
    answer = f"{quote}\n[{best.title}, {best.source}, characters {best.start}-{best.end}]"
    citation = {"document_key": best.document_key, "chunk_id": str(best.chunk_id)}
    session = client.open_session(SessionCreate(key=f"demo-{uuid4()}", title="Demo"))
    client.append_messages(
        session.id,
        [MessageCreate("user", CHAT_QUESTION), MessageCreate("assistant", answer, metadata={"citations": [citation]})],
    )
    say()
    say("A chat session, read back as a chat completion takes it:", style=HEADING)
    for message in client.list_openai_messages(session.id):
        out.print(f"{message.role}: {message.content}", markup=False)


def show_addresses(settings: Settings, url: str, collection: str) -> None:
    body = json.dumps({"query": "how do generators work", "top_k": 1})
    say()
    say("To open and to copy", style=HEADING)
    say(f"API docs      {url}/schema")
    say(f"Search page   {url}/")
    say(f"Health        {url}/health/ready")
    say(f"Admin key     {describe_key(settings)}")
    say()
    say(f"curl -s {url}/v1/collections/{collection}/search \\")
    say(f'  -H "Authorization: Bearer {key_for_shell(settings)}" \\')
    say("  -H 'Content-Type: application/json' \\")
    say(f"  -d {shlex.quote(body)}")
    say()


def describe_key(settings: Settings) -> str:
    return str(settings.data_dir / KEY_FILE) if settings.admin_key is None else "RAGSTORE_ADMIN_KEY"


def key_for_shell(settings: Settings) -> str:
    if settings.admin_key is not None:
        return "$RAGSTORE_ADMIN_KEY"
    return f"$(cat {shlex.quote(str(settings.data_dir / KEY_FILE))})"
