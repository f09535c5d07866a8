"""Every error as RFC 9457 `application/problem+json`, including what the framework finds wrong by itself."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from sqlalchemy.exc import DBAPIError

from ragstore.errors import (
    BodyTooLarge,
    FieldError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    RagstoreError,
    TooDeep,
    TooManyRequests,
    UnsupportedMediaType,
)
from ragstore.fields import read_fault
from ragstore.logs import read_request_id
from ragstore.sqlstate import translate_database_error

MEDIA_TYPE = "application/problem+json"
AnyRequest = Request[Any, Any, Any]

BY_STATUS: dict[int, type[RagstoreError]] = {
    400: InvalidRequest,
    401: NotAuthenticated,
    404: NotFound,
    405: MethodNotAllowed,
    413: BodyTooLarge,
    415: UnsupportedMediaType,
    429: TooManyRequests,
}
MISSING_PARAMETER = re.compile(r"Missing required \w+ parameter '(?P<name>[^']+)'")

Arguments = Mapping[str, Any]  # the types of what a handler takes, by name
NO_ARGUMENTS: Arguments = {}
TRUNCATED = "Input data was truncated"

log = structlog.get_logger(__name__)


class FieldProblem(msgspec.Struct):
    path: str
    message: str


class Problem(msgspec.Struct):
    """RFC 9457. `type` is stable and listed in `docs/errors.md`; `errors` names each wrong field by its JSON path."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem]
    request_id: str | None


def to_ragstore_error(error: Exception, arguments: Arguments = NO_ARGUMENTS) -> RagstoreError:
    """`arguments` are those of the handler."""
    match error:
        case RagstoreError():
            return error
        case RecursionError():
            return TooDeep("The JSON is nested too deeply.")
        case UnicodeDecodeError():
            return InvalidRequest("The request is not valid UTF-8.")
        case DBAPIError():
            return translate_database_error(error)
        case HTTPException():
            return from_framework(error, arguments)
    return InternalError()


def from_framework(error: HTTPException, arguments: Arguments) -> RagstoreError:
    cause = error.__cause__
    if isinstance(cause, RecursionError | UnicodeDecodeError):
        return to_ragstore_error(cause)
    if isinstance(cause, msgspec.MsgspecError):
        return from_msgspec(str(cause), arguments)
    if isinstance(cause, SerializationException):
        return InvalidRequest(f"The body is not JSON: {explain_syntax(str(cause.__cause__ or cause))}.")
    if isinstance(error, ValidationException):
        return from_validation(error)
    kind = BY_STATUS.get(error.status_code)
    if kind is None:
        kind = InternalError if error.status_code >= 500 else InvalidRequest
    return kind()


def explain_syntax(message: str) -> str:
    """The parser reads on behind half a surrogate pair, and may then say that something is missing at the end."""
    return f"{message}, or holds half of a surrogate pair (such as \\ud800 alone)" if message == TRUNCATED else message


def from_msgspec(message: str, arguments: Arguments) -> InvalidRequest:
    field = read_fault(message, kind=arguments)
    detail = f"{field.path}: {field.message}." if field.path else f"{field.message}."
    return InvalidRequest(detail, errors=(field,))


def from_validation(error: ValidationException) -> InvalidRequest:
    extra = error.extra if isinstance(error.extra, list) else []
    fields = tuple(
        read_fault(str(one.get("message", "is not valid")), key=str(one.get("key", "")))
        for one in extra
        if isinstance(one, dict)
    )
    if not fields and (missing := MISSING_PARAMETER.match(error.detail)):
        fields = (FieldError(missing["name"], "is missing"),)
    named = "; ".join(f"{one.path}: {one.message}" for one in fields)
    return InvalidRequest(f"{named}." if named else None, errors=fields)


def render_problem(request: AnyRequest, error: Exception) -> Response[Problem]:
    problem = to_ragstore_error(error, list_arguments(request))
    if problem.status >= 500:
        log.error("request failed", error=type(error).__name__, type=problem.slug, exc_info=error)
    return make_problem(problem)


def list_arguments(request: AnyRequest) -> Arguments:
    """None where nothing answers."""
    handler = request.scope.get("route_handler")
    return {name: one.annotation for name, one in handler.parsed_fn_signature.parameters.items()} if handler else {}


def make_problem(problem: RagstoreError) -> Response[Problem]:
    headers = {"Cache-Control": "no-store"}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(problem.retry_after)))
    return Response(describe_problem(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def describe_problem(problem: RagstoreError) -> Problem:
    """Also what a stream ends with, whose status is sent already."""
    return Problem(
        type=problem.type(),
        title=problem.title(),
        status=problem.status,
        detail=problem.detail,
        errors=[FieldProblem(one.path, one.message) for one in problem.errors],
        request_id=read_request_id(),
    )
