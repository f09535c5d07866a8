"""The collection that a store is moved to: its model must be the one the vectors were made with."""

from ragstore.cli.loading import find_collection, open_collection
from ragstore.cli.movers.options import MoveOptions
from ragstore.cli.movers.source import Description
from ragstore.cli.screen import say
from ragstore.cli.vectors import MOST_NUMBERS
from ragstore.client import Client
from ragstore.collection.schemas import CollectionRead
from ragstore.embedding.local import MODEL as LOCAL_MODEL
from ragstore.embedding.local import NATIVE_DIMENSIONS as LOCAL_WIDTH
from ragstore.errors import ConfigurationError


def reuses_vectors(description: Description, options: MoveOptions) -> bool:
    """Says why not."""
    if options.embed_anew:
        return False
    if description.dimensions is None:
        say(f"{description.store} gives no vectors: the texts are embedded anew.")
    elif not description.vectors_fit:
        width = f"{description.dimensions:,} numbers, more than {MOST_NUMBERS:,}"
        say(f"The vectors have {width}: they cannot be kept, the texts are embedded anew.")
    return description.vectors_fit


def prepare_target(client: Client, options: MoveOptions, description: Description, reused: bool) -> CollectionRead:
    """Made if it is not there. Raises ConfigurationError when it would mix the vectors of two models."""
    found = find_collection(client, options.collection)
    if reused and found is None and options.model is None:
        raise ConfigurationError(
            "Which model made these vectors? Questions must be embedded by the same one: say it with --model NAME,"
            " or leave the vectors with --embed-anew."
        )
    model = options.model if found is None else options.model or found.embedding_model
    if reused and model == LOCAL_MODEL and description.dimensions not in (LOCAL_WIDTH, MOST_NUMBERS):
        raise ConfigurationError(
            f"The model {LOCAL_MODEL} makes vectors of {LOCAL_WIDTH} numbers, these have {description.dimensions}:"
            " another model made them."
        )
    if reused and found is not None and options.model is None:
        say(f"The vectors are taken for those of {model}, the model of the collection {found.name}.")
    metric = description.metric if reused else "cosine"
    collection = open_collection(
        client, options.collection, model=options.model, language=options.language, metric=metric
    )
    if reused and collection.metric != metric:
        say(f"The collection compares by {collection.metric}, the store by {metric}: answers will differ.")
    return collection
