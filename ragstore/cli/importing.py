from pathlib import Path
from typing import Annotated

import typer

from ragstore.cli.exported import import_file
from ragstore.cli.movers.options import STORES, TEXT_COLUMN, MoveOptions, Store
from ragstore.collection.schemas import Language

FileArgument = Annotated[Path | None, typer.Argument(help="What `ragstore export` wrote.", exists=True, dir_okay=False)]
StoreOption = Annotated[
    Store | None, typer.Option("--from", metavar="STORE", help=f"Another store: {', '.join(STORES)}.")
]
NameOption = Annotated[
    str | None, typer.Option(help="What it is called there: collection, table, id of the vector store.")
]
CollectionOption = Annotated[str | None, typer.Option(help="Made if it is not there. Default: the same name.")]
ModelOption = Annotated[str | None, typer.Option(help="Which made the vectors, or makes them where there are none.")]
PartialOption = Annotated[bool, typer.Option("--partial", help="Take a file that breaks off too.")]
AgainOption = Annotated[bool, typer.Option("--again", help="From the first line, whatever was imported before.")]
DatabaseUrlOption = Annotated[
    str | None,
    typer.Option(envvar="RAGSTORE_IMPORT_DATABASE_URL", help="Of langchain-pg, llamaindex-pg.", show_envvar=True),
]
SchemaOption = Annotated[str, typer.Option(help="Of the tables.")]
TextColumnOption = Annotated[str, typer.Option(help="Of a table of langchain-pg.")]
PathOption = Annotated[Path | None, typer.Option(help="Folder of chroma.")]
UrlOption = Annotated[str | None, typer.Option(help="Server of chroma.")]
LanguageOption = Annotated[Language | None, typer.Option(metavar="NAME", help="Of a new collection.")]
EmbedAnewOption = Annotated[bool, typer.Option("--embed-anew", help="Leave the vectors, embed the texts.")]
CompareOption = Annotated[int, typer.Option(min=0, help="Stored passages to ask both sides with.")]
LeastOverlapOption = Annotated[
    float | None, typer.Option(min=0, max=1, help="Exit code 1 if fewer answers than this share are the same.")
]


def import_(
    file: FileArgument = None,
    store: StoreOption = None,
    name: NameOption = None,
    collection: CollectionOption = None,
    model: ModelOption = None,
    partial: PartialOption = False,
    again: AgainOption = False,
    database_url: DatabaseUrlOption = None,
    schema: SchemaOption = "public",
    text_column: TextColumnOption = TEXT_COLUMN,
    path: PathOption = None,
    url: UrlOption = None,
    language: LanguageOption = None,
    embed_anew: EmbedAnewOption = False,
    compare: CompareOption = 20,
    least_overlap: LeastOverlapOption = None,
) -> None:
    """Read an exported collection, or move a store of LangChain, LlamaIndex, Chroma or OpenAI here with its vectors.

    A file's collection is made with the settings it had; after a break the same command goes on where it stopped.
    Nothing is written to another store, and running it again changes only what has changed there. Exit code 1 if
    anything failed.

    Example: `ragstore import handbook.jsonl --collection copy`

    Example: `ragstore import --from chroma --path DIR --name docs --model MODEL`
    """
    if (file is None) == (store is None):
        raise typer.BadParameter("needs a FILE, or --from STORE", param_hint="import")
    if file is not None:
        import_file(file, collection=collection, model=model, partial=partial, again=again)
        return
    if store is None or name is None:
        raise typer.BadParameter("--from needs it", param_hint="--name")
    if least_overlap is not None and not compare:
        raise typer.BadParameter("needs something to compare", param_hint="--least-overlap")
    move(
        MoveOptions(
            store, name, collection or name, database_url=database_url, schema=schema, text_column=text_column,
            folder=path, url=url, model=model, language=language, embed_anew=embed_anew, compare=compare,
            least_overlap=least_overlap,
        )
    )  # fmt: skip


def move(options: MoveOptions) -> None:
    """Raises typer.Exit with code 1 if anything failed, or if the answers differ more than they may."""
    from ragstore.cli.movers.moving import run_move  # noqa: PLC0415 - other commands need no library of other stores

    run_move(options)
