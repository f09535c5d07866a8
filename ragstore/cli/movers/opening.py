"""The store that was meant."""

from ragstore.cli.movers.chroma import open_chroma
from ragstore.cli.movers.langchain_pg import open_langchain_pg
from ragstore.cli.movers.llamaindex_pg import open_llamaindex_pg
from ragstore.cli.movers.openai_store import open_openai
from ragstore.cli.movers.options import MoveOptions
from ragstore.cli.movers.source import Source
from ragstore.errors import ConfigurationError
from ragstore.settings import Settings


def open_source(options: MoveOptions, settings: Settings) -> Source:
    """Raises ConfigurationError when something that this store needs was not told."""
    if options.store == "langchain-pg":
        url = need(options.database_url, options.store)
        return open_langchain_pg(url, options.name, schema=options.schema, text_column=options.text_column)
    if options.store == "llamaindex-pg":
        return open_llamaindex_pg(need(options.database_url, options.store), options.name, schema=options.schema)
    if options.store == "chroma":
        if (options.folder is None) == (options.url is None):
            raise ConfigurationError("--from chroma needs --path FOLDER or --url http://HOST:PORT, one of them.")
        return open_chroma(options.name, folder=options.folder, url=options.url)
    return open_openai(settings, options.name)


def need(url: str | None, store: str) -> str:
    if url is None:
        raise ConfigurationError(f"--from {store} needs --database-url postgresql://USER@HOST/NAME.")
    return url
