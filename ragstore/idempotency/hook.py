"""Where requests with an `Idempotency-Key` are held up before their handler, and let go when it fails."""

import hashlib
import re
from typing import Any

import structlog
from litestar import Request, Response
from litestar.types import Scope

from ragstore.database import Database, TenantDatabase
from ragstore.errors import FieldError, InvalidRequest, RagstoreError
from ragstore.idempotency.service import HEADER, Recorder, Replay, start_recording

AnyRequest = Request[Any, Any, Any]
USABLE_KEY = re.compile(r"[\x21-\x7e]{1,255}")
WRITES = ("POST", "PUT", "PATCH", "DELETE")
STATE = "idempotency"
READS = "read"

log = structlog.get_logger(__name__)


async def check_idempotency(request: AnyRequest) -> Response[bytes] | None:
    """Answers in the handler's place when the request was answered before."""
    key = request.headers.get(HEADER)
    if key is None or request.method not in WRITES or request.route_handler.opt.get("scope") == READS:
        return None
    if request.route_handler.opt.get("body") == "lines":
        message = "is not for a stream, which goes on where it stopped by its name: ?import=NAME"
        raise InvalidRequest(f"{HEADER} {message}.", errors=(FieldError(HEADER, message),))
    if not USABLE_KEY.fullmatch(key):
        message = "must be 1 to 255 visible ASCII characters"
        raise InvalidRequest(f"{HEADER} {message}.", errors=(FieldError(HEADER, message),))
    database: Database = request.app.state.ragstore.database
    begun = await start_recording(
        TenantDatabase(database, request.user.tenant_id),
        request.user.key_id,
        key,
        await fingerprint(request),
        getattr(request.route_handler, "status_code", None) or 200,
    )
    if isinstance(begun, Replay):
        headers = {"Idempotent-Replayed": "true"}
        return Response(begun.body, status_code=begun.status, media_type="application/json", headers=headers)
    request.scope["state"][STATE] = begun
    return None


async def fingerprint(request: AnyRequest) -> bytes:
    """Of all that makes it this request and no other."""
    digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    digest.update(await request.body())
    return digest.digest()


async def provide_recorder(request: AnyRequest) -> Recorder:
    recorder: Recorder = request.scope["state"].get(STATE) or Recorder()
    return recorder


async def release_claim(error: Exception, scope: Scope) -> None:
    """Best effort: the error of the request itself must win, and a claim that stays ends with its lease."""
    recorder = scope["state"].get(STATE)
    if isinstance(recorder, Recorder):
        try:
            await recorder.release()
        except RagstoreError as failure:
            log.warning("an Idempotency-Key stays claimed until its lease ends", error=failure.slug)


__all__ = ["check_idempotency", "provide_recorder", "release_claim"]
