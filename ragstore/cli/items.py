"""What reading gives, one at a time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragstore.ingestion.schemas import DocumentUpsert


@dataclass(frozen=True)
class Upload:
    """A file that the service reads."""

    file: Path | bytes
    key: str
    name: str
    source: str
    url: str | None = None

    def read(self) -> bytes:
        return self.file if isinstance(self.file, bytes) else self.file.read_bytes()


@dataclass(frozen=True)
class Item:
    """What a file or a line gave: a document or its JSON, a file to send, or the reason why not. `size` is its bytes
    in the file.
    """

    name: str
    size: int
    document: DocumentUpsert | dict[str, Any] | None = None
    fault: str | None = None
    binary: bool = False
    upload: Upload | None = None


class Unreadable(Exception):
    """The reason, to be put after the name of the file or the line."""


@dataclass(frozen=True)
class Tables:
    """Where the parts of a document are: `texts` has a record a line, as many as the `.npy` has rows."""

    texts: Path | None = None
    text_column: str = "text"
    key_column: str = "id"
    vector_column: str | None = None


NO_TABLES = Tables()
