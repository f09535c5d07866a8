"""From an old store into a collection, and the same questions to both afterwards."""

import time
from collections import Counter

import typer

from ragstore.cli.ingest import show_failures, show_outcome
from ragstore.cli.loading import Outcome
from ragstore.cli.movers.comparing import TOP_K, Comparison, compare, is_the_model
from ragstore.cli.movers.fitting import Sampler, fit_vectors, watch
from ragstore.cli.movers.opening import open_source
from ragstore.cli.movers.options import MoveOptions
from ragstore.cli.movers.posting import post_documents
from ragstore.cli.movers.source import Description, Source
from ragstore.cli.movers.target import prepare_target, reuses_vectors
from ragstore.cli.progress import show_progress
from ragstore.cli.screen import err, say
from ragstore.client import Client, RagstoreClientError, find_service
from ragstore.settings import load_settings


def run_move(options: MoveOptions) -> None:
    """Raises typer.Exit with code 1 if anything failed, or if the answers differ more than they may."""
    settings = load_settings()
    address = find_service(settings)
    source = open_source(options, settings)
    try:
        with Client(address.url, address.api_key) as client:
            outcome, comparison = move_all(client, source, options)
    finally:
        source.close()
    if outcome.failures or is_poor(comparison, options.least_overlap):
        raise typer.Exit(1)


def move_all(client: Client, source: Source, options: MoveOptions) -> tuple[Outcome, Comparison | None]:
    description = source.describe()
    say(tell(description))
    reused = reuses_vectors(description, options)
    target = prepare_target(client, options, description, reused)
    sampler, outcome, remarks = Sampler(options.compare), Outcome(), Counter[str]()
    begun = time.monotonic()
    documents = watch(source.documents(), sampler, source.passage_field)
    fitted = fit_vectors(documents, description.dimensions if reused else None, remarks)
    with show_progress(f"Moving {description.name}", description.passages) as advance:
        post_documents(client, target.name, fitted, outcome, advance)
    show_outcome(outcome, time.monotonic() - begun)
    show_failures(outcome)
    for what, number in (source.remarks + remarks).items():
        say(f"{number:,} {what}")
    if not sampler.samples:
        return outcome, None
    comparison = compare(source, client, target.name, sampler.samples, reused=reused)
    show_comparison(comparison)
    if reused:
        check_model(client, target.name, target.embedding_model, source, sampler)
    return outcome, comparison


def check_model(client: Client, collection: str, model: str, source: Source, sampler: Sampler) -> None:
    try:
        fits = is_the_model(client, collection, source.passage_field, sampler.samples)
    except RagstoreClientError as error:
        err.print(f"Whether {model} made the vectors cannot be tried out: {error.detail}", soft_wrap=True)
        return
    if not fits:
        err.print(f"Texts do not find their own vectors: {model} does not seem to have made them.", soft_wrap=True)


def tell(description: Description) -> str:
    width = "" if description.dimensions is None else f", vectors of {description.dimensions:,} numbers"
    metric = "" if description.dimensions is None else f", {description.metric.replace('_', ' ')}"
    return f"{description.store} {description.name}: {description.passages:,} passages{width}{metric}"


def show_comparison(comparison: Comparison) -> None:
    if comparison.overlap is None:
        say("There is nothing to compare: the store finds nothing else for its own passages.")
        return
    same = f"{comparison.identical} of {comparison.asked} in the same order"
    say(f"overlap@{TOP_K} {comparison.overlap:.3f} of the old store's answers and the new one's ({same})")


def is_poor(comparison: Comparison | None, least: float | None) -> bool:
    """A store with nothing to ask has no answers that could differ."""
    overlap = comparison.overlap if comparison is not None else None
    return least is not None and overlap is not None and overlap < least
