"""What can go wrong between a client and the service, as one exception."""

import httpx
import msgspec

from ragstore.errors import FieldError


class RagstoreClientError(Exception):
    """The service refused the request, or could not be reached (then `status` is None).

    `type`, `detail` and `errors` are those of the service's problem+json.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        type: str | None = None,
        errors: tuple[FieldError, ...] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.type = type
        self.errors = errors
        self.request_id = request_id


class Problem(msgspec.Struct):
    """What is read of a problem+json; everything else in front of the service may answer without one."""

    type: str | None = None
    title: str | None = None
    detail: str | None = None
    errors: list[FieldError] = []
    request_id: str | None = None


def read_problem(response: httpx.Response) -> RagstoreClientError:
    try:
        problem = msgspec.json.decode(response.content, type=Problem)
    except msgspec.MsgspecError:
        problem = Problem()
    detail = problem.detail or problem.title or f"{response.url.host} answered {describe_status(response)}"
    return RagstoreClientError(
        detail,
        status=response.status_code,
        type=problem.type,
        errors=tuple(problem.errors),
        request_id=problem.request_id,
    )


def describe_status(response: httpx.Response) -> str:
    return f"{response.status_code} {response.reason_phrase}".strip()


def describe_transport(url: str, error: httpx.TransportError) -> RagstoreClientError:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return RagstoreClientError(f"No connection to {url}: {error or type(error).__name__}")
    if isinstance(error, httpx.TimeoutException):
        return RagstoreClientError(f"{url} took too long to answer")
    return RagstoreClientError(f"The connection to {url} broke: {error or type(error).__name__}")
