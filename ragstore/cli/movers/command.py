from pathlib import Path
from typing import Annotated

import typer

from ragstore.cli.movers.options import STORES, TEXT_COLUMN, MoveOptions, Store
from ragstore.collection.schemas import Language


def import_store(
    store: Annotated[Store, typer.Option("--from", metavar="STORE", help=f"One of: {', '.join(STORES)}.")],
    name: Annotated[str, typer.Option(help="What it is called there: collection, table, id of the vector store.")],
    collection: Annotated[str | None, typer.Option(help="Made if it is not there. Default: the same name.")] = None,
    database_url: Annotated[
        str | None,
        typer.Option(envvar="RAGSTORE_IMPORT_DATABASE_URL", help="Of langchain-pg, llamaindex-pg.", show_envvar=True),
    ] = None,
    schema: Annotated[str, typer.Option(help="Of the tables.")] = "public",
    text_column: Annotated[str, typer.Option(help="Of a table of langchain-pg.")] = TEXT_COLUMN,
    path: Annotated[Path | None, typer.Option(help="Folder of chroma.")] = None,
    url: Annotated[str | None, typer.Option(help="Server of chroma.")] = None,
    model: Annotated[str | None, typer.Option(help="Which made the vectors, and embeds questions later.")] = None,
    language: Annotated[Language | None, typer.Option(metavar="NAME", help="Of a new collection.")] = None,
    embed_anew: Annotated[bool, typer.Option("--embed-anew", help="Leave the vectors, embed the texts.")] = False,
    compare: Annotated[int, typer.Option(min=0, help="Stored passages to ask both sides with.")] = 20,
    least_overlap: Annotated[
        float | None, typer.Option(min=0, max=1, help="Exit code 1 if fewer answers than this share are the same.")
    ] = None,
) -> None:
    """Move a store of LangChain, LlamaIndex, Chroma or OpenAI into a collection, with its vectors where they fit.

    Nothing is written to the old store. Running it again changes only what has changed there.

    Example: `ragstore import --from chroma --path DIR --name docs --model MODEL`
    """
    if least_overlap is not None and not compare:
        raise typer.BadParameter("needs something to compare", param_hint="--least-overlap")
    move(
        MoveOptions(
            store,
            name,
            collection or name,
            database_url=database_url,
            schema=schema,
            text_column=text_column,
            folder=path,
            url=url,
            model=model,
            language=language,
            embed_anew=embed_anew,
            compare=compare,
            least_overlap=least_overlap,
        )
    )


def move(options: MoveOptions) -> None:
    """Raises typer.Exit with code 1 if anything failed, or if the answers differ more than they may."""
    from ragstore.cli.movers.moving import run_move  # noqa: PLC0415 - other commands need no library of other stores

    run_move(options)
