"""What a document must be, beyond its types. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from ragstore.errors import FieldError
from ragstore.fields import check_key, check_metadata, check_text, read_fault
from ragstore.ingestion.schemas import DocumentUpsert

MOST_FAULTS = 20  # told of one document
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
    """The first of them: a document can be wrong in more places than anybody would read."""
    return list(islice(list_faults(path, document), MOST_FAULTS))


def list_faults(path: str, document: DocumentUpsert) -> Iterator[FieldError]:
    yield from check_key(f"{path}.key", document.key)
    yield from check_text(f"{path}.content", document.content, longest=LONGEST_CONTENT)
    yield from check_text(f"{path}.title", document.title)
    yield from check_text(f"{path}.source", document.source)
    yield from check_text(f"{path}.url", document.url)
    yield from check_metadata(f"{path}.metadata", document.metadata)
    if not document.content.strip():
        yield FieldError(f"{path}.content", "must hold some text")
