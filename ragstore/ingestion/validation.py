"""What a document must be, beyond its types. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from ragstore.errors import FieldError
from ragstore.fields import check_key, check_metadata, check_text, read_fault
from ragstore.ingestion.ready import MOST_FAULTS, Ready, join_chunks, read_ready
from ragstore.ingestion.schemas import DocumentUpsert

LONGEST_CONTENT = 16 * 1024 * 1024  # bytes of one document


@dataclass(frozen=True)
class Checked:
    """A document of a request, or why it is not one. `key` is known of many bad ones too; `content` is the chunks'
    where the document came without.
    """

    key: str | None
    document: DocumentUpsert | None
    faults: list[FieldError]
    content: str = ""
    ready: Ready | None = None


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
    content = document.content
    if content is None and document.chunks:
        content = join_chunks(document.chunks)
    # The first of them: a document can be wrong in more places than anybody would read.
    faults = list(islice(list_faults(path, document, content), MOST_FAULTS))
    if faults or content is None:
        return Checked(document.key, None, faults)
    ready = read_ready(path, document, content)
    if ready is not None and ready.faults:
        return Checked(document.key, None, list(ready.faults[:MOST_FAULTS]))
    return Checked(document.key, document, [], content, ready)


def list_faults(path: str, document: DocumentUpsert, content: str | None) -> Iterator[FieldError]:
    """Of the document but for its chunks and vectors, which are read once the rest is good."""
    yield from check_key(f"{path}.key", document.key)
    yield from check_text(f"{path}.content", content, longest=LONGEST_CONTENT)
    yield from check_text(f"{path}.title", document.title)
    yield from check_text(f"{path}.source", document.source)
    yield from check_text(f"{path}.url", document.url)
    yield from check_metadata(f"{path}.metadata", document.metadata)
    if content is None:
        empty = document.chunks is not None
        yield FieldError(f"{path}.{'chunks' if empty else 'content'}", "must not be empty" if empty else "is missing")
    elif not content.strip():
        yield FieldError(f"{path}.content", "must hold some text")
