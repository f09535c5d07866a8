import signal
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer

from ragstore.cli.child import find_running, run_child
from ragstore.cli.demo_corpus import measure_topics, read_topics
from ragstore.cli.demo_tour import show_addresses, show_chat, show_searches
from ragstore.cli.loading import Outcome, load
from ragstore.cli.progress import show_progress
from ragstore.cli.screen import err, say
from ragstore.client import Client, ServiceAddress
from ragstore.errors import ConfigurationError
from ragstore.settings import Settings, load_settings

COLLECTION = "demo"
DOCUMENTS_A_POST = 8  # the topics are long and few: the bar is to move


def demo(
    once: Annotated[bool, typer.Option("--once", help="Exit when all is shown.")] = False,
) -> None:
    """See it work: a service on the embedded Postgres, Python's own language reference, searches and a chat.

    Everything is kept in the data directory (`.ragstore`). The service stays up until Ctrl-C. If one runs on the
    data directory already, the demo uses it and leaves it running.

    Example: `ragstore demo --once`
    """
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: leave nothing running
    settings = load_settings()
    running = find_running(settings)
    service: AbstractContextManager[ServiceAddress] = nullcontext(running) if running else run_child(settings)
    if running is None:
        err.print("Starting Postgres and the service …")
    with service as address:
        show_all(settings, address, begun)
        if running is not None:
            say("The service was running before and goes on.")
        elif not once:
            wait_for_interrupt()


def show_all(settings: Settings, address: ServiceAddress, begun: float) -> None:
    with Client(address.url, address.api_key) as client:
        load_topics(client)
        show_searches(client, COLLECTION, begun)
        show_chat(client, COLLECTION)
    show_addresses(settings, address.url, COLLECTION)


def load_topics(client: Client) -> None:
    client.ensure_collection(COLLECTION)
    outcome = Outcome()
    with show_progress("Loading Python's language reference", measure_topics()) as advance:
        load(client, COLLECTION, read_topics(), outcome, advance, post_documents=DOCUMENTS_A_POST)
    if outcome.failures:
        raise ConfigurationError("The demo could not be loaded: {}: {}".format(*outcome.failures[0]))
    counted = ", ".join(f"{number} {status}" for status, number in sorted(outcome.counts.items()))
    say(f"Python's language reference: {outcome.documents} documents, {counted}")


def wait_for_interrupt() -> None:
    say("The service stays up until Ctrl-C.", style="bold")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        err.print("Stopping …")
