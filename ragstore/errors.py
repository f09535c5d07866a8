"""The error tree. Each class is one `type` of `docs/errors.md`; its docstring is the title a client reads.

RagstoreError
├── ConfigurationError                 the service cannot start like this (never reaches a client)
├── InvalidRequest 400 ── InvalidCursor
│   └── TooDeep
├── NotAuthenticated 401
├── NotAllowed 403
├── NotFound 404
├── MethodNotAllowed 405
├── Conflict 409 ── IdempotencyInFlight
├── BodyTooLarge 413
├── UnsupportedMediaType 415
├── Unprocessable 422 ── InvalidFilter, InvalidVector, InvalidDocument, IdempotencyMismatch
│   └── FileEncrypted, FileDamaged, FileEmpty, FileWithoutText, FileUnsupported, FileTooDemanding
├── TooManyRequests 429
├── InternalError 500
├── ProviderFailed 502 ── ProviderRefused
├── Unavailable 503 ── PoolExhausted, DatabaseUnavailable, ProviderUnavailable, RerankerUnavailable
├── TimedOut 504
└── StorageFull 507
"""

from dataclasses import dataclass
from typing import ClassVar

TYPE_PREFIX = "urn:ragstore:error:"


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with the request: a JSON path such as `documents[3].metadata.year`, and why."""

    path: str
    message: str


class RagstoreError(Exception):
    """The request failed"""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "error"

    def __init__(
        self, detail: str | None = None, *, errors: tuple[FieldError, ...] = (), retry_after: float | None = None
    ) -> None:
        super().__init__(detail or self.title())
        self.detail = detail or self.title()
        self.errors = errors
        self.retry_after = retry_after

    @classmethod
    def title(cls) -> str:
        return (cls.__doc__ or "").strip()

    @classmethod
    def type(cls) -> str:
        return TYPE_PREFIX + cls.slug


def find_error(type_: str) -> type[RagstoreError]:
    """The class that a `type` names; InternalError for one that is none."""
    waiting: list[type[RagstoreError]] = [RagstoreError]
    while waiting:
        kind = waiting.pop()
        if kind.type() == type_:
            return kind
        waiting += kind.__subclasses__()
    return InternalError


class ConfigurationError(RagstoreError):
    """The service is not configured correctly"""

    slug = "configuration"


class InvalidRequest(RagstoreError):
    """The request could not be understood"""

    status, slug = 400, "invalid-request"


class InvalidCursor(InvalidRequest):
    """The cursor is not one this list gave out"""

    slug = "invalid-cursor"


class TooDeep(InvalidRequest):
    """The JSON is nested too deeply"""

    slug = "json-too-deep"


class NotAuthenticated(RagstoreError):
    """A valid API key is needed"""

    status, slug = 401, "not-authenticated"


class NotAllowed(RagstoreError):
    """The API key does not have the scope for this"""

    status, slug = 403, "not-allowed"


class NotFound(RagstoreError):
    """There is no such thing here"""

    status, slug = 404, "not-found"


class MethodNotAllowed(RagstoreError):
    """This address does not answer that method"""

    status, slug = 405, "method-not-allowed"


class Conflict(RagstoreError):
    """The request conflicts with what is stored"""

    status, slug = 409, "conflict"


class IdempotencyInFlight(Conflict):
    """The first request with this Idempotency-Key is still running"""

    slug = "idempotency-in-flight"


class BodyTooLarge(RagstoreError):
    """The request body is too large"""

    status, slug = 413, "body-too-large"


class UnsupportedMediaType(RagstoreError):
    """The content type is not one this address reads"""

    status, slug = 415, "unsupported-media-type"


class Unprocessable(RagstoreError):
    """The request was understood but cannot be carried out"""

    status, slug = 422, "unprocessable"


class IdempotencyMismatch(Unprocessable):
    """The Idempotency-Key was used for another request"""

    slug = "idempotency-mismatch"


class InvalidFilter(Unprocessable):
    """The filter is not valid"""

    slug = "invalid-filter"


class InvalidVector(Unprocessable):
    """The vector is not valid"""

    slug = "invalid-vector"


class InvalidDocument(Unprocessable):
    """The document is not valid"""

    slug = "invalid-document"


class FileEncrypted(Unprocessable):
    """The file needs a password"""

    slug = "file-encrypted"


class FileDamaged(Unprocessable):
    """The file is damaged or incomplete"""

    slug = "file-damaged"


class FileEmpty(Unprocessable):
    """The file is empty"""

    slug = "file-empty"


class FileWithoutText(Unprocessable):
    """The file holds no text"""

    slug = "file-without-text"


class FileUnsupported(Unprocessable):
    """Files of this kind are not read"""

    slug = "file-unsupported"


class FileTooDemanding(Unprocessable):
    """Reading the file takes more than is allowed"""

    slug = "file-too-demanding"


FILE_ERRORS: tuple[type[Unprocessable], ...] = (
    FileEncrypted,
    FileDamaged,
    FileEmpty,
    FileWithoutText,
    FileUnsupported,
    FileTooDemanding,
)


class TooManyRequests(RagstoreError):
    """Too many requests"""

    status, slug = 429, "too-many-requests"


class InternalError(RagstoreError):
    """Something went wrong in ragstore"""

    status, slug = 500, "internal"


class ProviderFailed(RagstoreError):
    """The model provider gave an answer that cannot be used"""

    status, slug = 502, "provider-failed"


class ProviderRefused(ProviderFailed):
    """The model provider refused, and would refuse again"""

    slug = "provider-refused"


class Unavailable(RagstoreError):
    """The service cannot answer right now"""

    status, slug = 503, "unavailable"


class PoolExhausted(Unavailable):
    """All database connections are busy"""

    slug = "pool-exhausted"


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached"""

    slug = "database-unavailable"


class ProviderUnavailable(Unavailable):
    """The model provider cannot be reached"""

    slug = "provider-unavailable"


class ChatModelMissing(Unavailable):
    """No chat model is configured"""

    slug = "chat-model-missing"


class RerankerUnavailable(Unavailable):
    """The reranker gave no order that can be used"""

    slug = "reranker-unavailable"


class TimedOut(RagstoreError):
    """The request took too long"""

    status, slug = 504, "timed-out"


class StorageFull(RagstoreError):
    """The database has no room left"""

    status, slug = 507, "storage-full"
