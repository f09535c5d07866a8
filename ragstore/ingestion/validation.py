"""What a document must be, beyond its types. Pure."""

from collections.abc import Sequence

from ragstore.errors import FieldError
from ragstore.fields import check_key, check_metadata, check_text
from ragstore.ingestion.schemas import DocumentUpsert

LONGEST_CONTENT = 16 * 1024 * 1024  # bytes of one document


def find_faults(documents: Sequence[DocumentUpsert]) -> list[list[FieldError]]:
    """The faults of each document, by path within the body; an empty list is a good document."""
    first_seen: dict[str, int] = {}
    faults = []
    for index, document in enumerate(documents):
        path = f"documents[{index}]"
        found = check_document(path, document)
        if document.key is not None and (earlier := first_seen.setdefault(document.key, index)) != index:
            found.append(FieldError(f"{path}.key", f"is the key of documents[{earlier}] too"))
        faults.append(found)
    return faults


def check_document(path: str, document: DocumentUpsert) -> list[FieldError]:
    found = [
        *check_key(f"{path}.key", document.key),
        *check_text(f"{path}.content", document.content, longest=LONGEST_CONTENT),
        *check_text(f"{path}.title", document.title),
        *check_text(f"{path}.source", document.source),
        *check_text(f"{path}.url", document.url),
        *check_metadata(f"{path}.metadata", document.metadata),
    ]
    if not document.content.strip():
        found.append(FieldError(f"{path}.content", "must hold some text"))
    return found
