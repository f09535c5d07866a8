"""What a document must be, beyond its types. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ragstore.errors import FieldError
from ragstore.fields import check_key, check_metadata, check_text, read_fault
from ragstore.ingestion.schemas import DocumentUpsert

LONGEST_CONTENT = 16 * 1024 * 1024  # bytes of one document


@dataclass(frozen=True)
class Checked:
    """A document of a request, or why it is not one. `key` is known of many bad ones too."""

    key: str | None
    document: DocumentUpsert | None
    faults: list[FieldError]


def check_documents(given: Sequence[object]) -> list[Checked]:
    """In the order given; faults carry their path within the body."""
    first_seen: dict[str, int] = {}
    checked = []
    for index, one in enumerate(given):
        path = f"documents[{index}]"
        read = read_document(path, one)
        if read.document is not None and read.key is not None:
            earlier = first_seen.setdefault(read.key, index)
            if earlier != index:
                fault = FieldError(f"{path}.key", f"is the key of documents[{earlier}] too")
                read = Checked(read.key, None, [fault])
        checked.append(read)
    return checked


def read_document(path: str, given: object) -> Checked:
    if isinstance(given, DocumentUpsert):
        document = given
    else:
        try:
            document = msgspec.convert(given, DocumentUpsert)
        except msgspec.ValidationError as error:
            key = given.get("key") if isinstance(given, dict) else None
            return Checked(key if isinstance(key, str) else None, None, [read_fault(str(error), path)])
    faults = check_document(path, document)
    return Checked(document.key, None if faults else document, faults)


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
