"""What is answered for each document. Pure."""

from collections.abc import Mapping, Sequence

from ragstore.document.publishing import Published
from ragstore.errors import FieldError, InvalidDocument, ProviderRefused
from ragstore.ingestion.drafts import Draft
from ragstore.ingestion.planning import Candidate
from ragstore.ingestion.ready import MOST_FAULTS
from ragstore.ingestion.schemas import DocumentFault, DocumentResult, FieldFault, Status
from ragstore.ingestion.validation import Checked


def to_result(one: Candidate, published: Published | None) -> DocumentResult:
    if published is not None:
        chunks = one.stored.chunk_count if one.same_content and one.stored else one.chunk_count
        status: Status = "created" if published.version == 1 else "updated"
        return DocumentResult(one.key, published.id, status, published.version, chunks)
    if one.stored is None:
        raise RuntimeError("a document without a stored version was not published")
    return DocumentResult(one.key, one.stored.id, "unchanged", one.stored.version, one.stored.chunk_count)


def refuse_document(one: Checked) -> DocumentResult:
    return fail(one.key, InvalidDocument.type(), one.faults)


def refuse_passages(one: Candidate, refused: Sequence[Draft]) -> DocumentResult:
    return fail(one.document.key, ProviderRefused.type(), list_refused(one, refused))


def raise_refused(candidates: Sequence[Candidate], refused: Mapping[int, Sequence[Draft]]) -> None:
    """When the provider took none of the documents."""
    if refused and len(refused) == len(candidates):
        faults = [fault for one in candidates for fault in list_refused(one, refused[one.index])]
        raise ProviderRefused(f"{faults[0].path} {faults[0].message}.", errors=tuple(faults[:MOST_FAULTS]))


def list_refused(one: Candidate, refused: Sequence[Draft]) -> list[FieldError]:
    """A chunk of the caller's is named by its place, a passage of ours by where it stands in the content."""
    path = f"documents[{one.index}]"
    return [
        FieldError(f"{path}.chunks[{draft.ordinal}]", f"is refused by the model provider {draft.refused}")
        if one.document.chunks is not None
        else FieldError(
            f"{path}.content",
            f"from character {draft.passage.start} to {draft.passage.end} (passage {draft.ordinal}) is refused by the "
            f"model provider {draft.refused}",
        )
        for draft in refused[:MOST_FAULTS]
    ]


def fail(key: str | None, kind: str, faults: Sequence[FieldError]) -> DocumentResult:
    errors = [FieldFault(fault.path, fault.message) for fault in faults]
    error = DocumentFault(kind, f"{errors[0].path} {errors[0].message}.", errors)
    return DocumentResult(key, None, "failed", error=error)
