"""The gate of every route. Denied by default: a route says which scope it needs, or that it is public."""

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from ragstore.errors import FieldError, InvalidRequest, NotAllowed, NotAuthenticated, UnsupportedMediaType
from ragstore.tenant.schemas import Caller, Scope
from ragstore.tenant.service import Authenticator

PUBLIC = {"exclude_from_auth": True}
READ = {"scope": Scope.READ}
WRITE = {"scope": Scope.WRITE}
ADMIN = {"scope": Scope.ADMIN}
JSON = ("application/json",)
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
FORM = ("multipart/form-data",)
WRITE_LINES = WRITE | {"body": LINES, "streamed": True}
WRITE_FORM = WRITE | {"body": FORM}
LONGEST_KEY = 512


class ApiKeyAuthentication(AbstractAuthenticationMiddleware):
    """`Authorization: Bearer <key>`, checked before anything of the body is read."""

    async def authenticate_request(self, connection: ASGIConnection) -> AuthenticationResult:  # type: ignore[type-arg]  # as the base class has it
        scheme, _, key = connection.headers.get("authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise NotAuthenticated("Send the API key as: Authorization: Bearer <key>")
        if len(key) > LONGEST_KEY:
            raise NotAuthenticated("The API key is not known.")
        authenticator: Authenticator = connection.app.state.authenticator
        return AuthenticationResult(user=await authenticator.authenticate(key), auth=None)


async def require_scope(connection: ASGIConnection, handler: BaseRouteHandler) -> None:  # type: ignore[type-arg]  # a litestar guard
    """A route that names no scope answers nobody."""
    if handler.opt.get("exclude_from_auth") or connection.scope.get("method") == "OPTIONS":
        return
    scope = handler.opt.get("scope")
    caller = connection.scope.get("user")
    if not isinstance(scope, Scope):
        raise NotAllowed("This answers nobody.")
    if not isinstance(caller, Caller) or not caller.may(scope):
        raise NotAllowed(f"This needs a key with the {scope.value} scope.")


async def require_known_query(connection: ASGIConnection, handler: BaseRouteHandler) -> None:  # type: ignore[type-arg]  # as above
    """A misspelt parameter is refused by name, like a misspelt field: `?kez=1` would list everything."""
    if handler.opt.get("exclude_from_auth") or connection.scope.get("method") == "OPTIONS":
        return
    parameters = handler.parsed_fn_signature.parameters
    known = {getattr(one.kwarg_definition, "name", None) or name for name, one in parameters.items()}
    if unknown := [name for name in connection.query_params if name not in known]:
        faults = tuple(FieldError(name, "is not a parameter here") for name in unknown)
        raise InvalidRequest(f"{unknown[0]} is not a parameter here.", errors=faults)


async def require_json(connection: ASGIConnection, handler: BaseRouteHandler) -> None:  # type: ignore[type-arg]  # as above
    """Bodies are JSON, where a route does not name other kinds as `body`: what says it is something else is refused
    before it is read.
    """
    content_type = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = connection.scope.get("method") in ("POST", "PUT", "PATCH")
    wanted = handler.opt.get("body", JSON)
    is_json = wanted is JSON and content_type.endswith("+json")
    if has_body and content_type and content_type not in wanted and not is_json:
        raise UnsupportedMediaType(f"Send the body as Content-Type: {wanted[0]}")
    if connection.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without Content-Encoding")
