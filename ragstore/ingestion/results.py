"""What is answered for each document. Pure."""

from collections.abc import Mapping, Sequence

from ragstore.document.publishing import Published
from ragstore.errors import FieldError, InvalidDocument, ProviderRefused
from ragstore.ingestion.drafts import Draft
from ragstore.ingestion.planning import Candidate, Plan
from ragstore.ingestion.ready import MOST_FAULTS
from ragstore.ingestion.schemas import DocumentFault, DocumentResult, FieldFault, Status, UpsertResults
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


def list_results(
    checked: Sequence[Checked],
    plan: Plan,
    refused: Mapping[int, Sequence[Draft]],
    published: Mapping[str, Published],
) -> UpsertResults:
    """In the order of `checked`; `refused`, by index, are those with passages that the provider did not take."""
    results = {
        one.index: refuse_passages(one, refused[one.index])
        if one.index in refused
        else to_result(one, published.get(one.key))
        for one in plan.candidates
    }
    return UpsertResults(
        [results.get(index) or refuse_document(plan.refused.get(index, one)) for index, one in enumerate(checked)]
    )


def refuse_none_stored(results: Sequence[DocumentResult]) -> None:
    """Raises ProviderRefused or InvalidDocument when all have failed."""
    errors = [one.error for one in results if one.error is not None]
    if len(errors) < len(results):
        return
    kind = ProviderRefused if any(one.type == ProviderRefused.type() for one in errors) else InvalidDocument
    worst = next(one for one in errors if one.type == kind.type())
    raise kind(
        worst.detail, errors=tuple(FieldError(fault.path, fault.message) for one in errors for fault in one.errors)
    )


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
