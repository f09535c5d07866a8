"""What `ragstore import --from` was told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ragstore.collection.schemas import Language

Store = Literal["langchain-pg", "llamaindex-pg", "chroma", "openai"]
STORES: tuple[Store, ...] = get_args(Store)
TEXT_COLUMN = "content"


@dataclass(frozen=True)
class MoveOptions:
    """`name` is what the store calls it: a collection, a table, the id of a vector store. `least_overlap` is the share
    of answers that must be the same for exit code 0.
    """

    store: Store
    name: str
    collection: str
    database_url: str | None = None
    schema: str = "public"
    text_column: str = TEXT_COLUMN
    folder: Path | None = None
    url: str | None = None
    model: str | None = None
    language: Language | None = None
    embed_anew: bool = False
    compare: int = 20
    least_overlap: float | None = None
