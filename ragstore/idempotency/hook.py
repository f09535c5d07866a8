"""Where requests with an `Idempotency-Key` are held up before their handler, and let go when it fails."""

import asyncio
import hashlib
import re
from typing import Any

import structlog
from litestar import Request, Response
from litestar.datastructures import UploadFile
from litestar.types import Scope

from ragstore.database import Database, TenantDatabase
from ragstore.errors import FieldError, InvalidRequest, RagstoreError
from ragstore.idempotency.service import HEADER, Recorder, Replay, start_recording

AnyRequest = Request[Any, Any, Any]
USABLE_KEY = re.compile(r"[\x21-\x7e]{1,255}")
WRITES = ("POST", "PUT", "PATCH", "DELETE")
STATE = "idempotency"
HEARTBEAT = "idempotency_heartbeat"
READS = "read"
PIECE = 256 * 1024
SALT, ROUNDS = b"ragstore fingerprint", 200_000  # a tenth of a second

log = structlog.get_logger(__name__)


async def check_idempotency(request: AnyRequest) -> Response[bytes] | None:
    """Answers in the handler's place when the request was answered before."""
    key = request.headers.get(HEADER)
    options = request.route_handler.opt
    if key is None or request.method not in WRITES or options.get("scope") == READS or options.get("read_only"):
        return None
    if options.get("streamed"):
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
    request.scope["state"][HEARTBEAT] = start_heartbeat(begun)
    return None


def start_heartbeat(recorder: Recorder) -> asyncio.Task[None]:
    """It ends with the task that handles the request, however that ends."""
    beating = asyncio.create_task(recorder.keep(), name="renew an Idempotency-Key")
    if (handling := asyncio.current_task()) is not None:
        handling.add_done_callback(lambda _: beating.cancel())
    return beating


async def stop_heartbeat(request: AnyRequest) -> None:
    """After the response; the task that handled this request may handle others."""
    beating = request.scope["state"].get(HEARTBEAT)
    if isinstance(beating, asyncio.Task):
        beating.cancel()


async def fingerprint(request: AnyRequest) -> bytes:
    """Of all that makes it this request and no other."""
    digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    if request.content_type[0] == "multipart/form-data":  # its boundary differs each time
        for name, value in (await request.form()).items():
            digest.update(f"\n{name}:".encode())
            await update_with(digest, value)
    else:
        digest.update(await request.body())
    if request.route_handler.opt.get("secret"):  # kept for a day: a password must not be found by trying
        return await asyncio.to_thread(hashlib.pbkdf2_hmac, "sha256", digest.digest(), SALT, ROUNDS)
    return digest.digest()


async def update_with(digest: "hashlib._Hash", value: object) -> None:
    """A file piece by piece: it may lie on the disk."""
    if not isinstance(value, UploadFile):
        digest.update(str(value).encode("utf-8", "surrogatepass"))
        return
    digest.update(f"{value.filename}\n".encode("utf-8", "surrogatepass"))
    while piece := await value.read(PIECE):
        digest.update(piece)
    await value.seek(0)


async def provide_recorder(request: AnyRequest) -> Recorder:
    recorder: Recorder = request.scope["state"].get(STATE) or Recorder()
    return recorder


async def release_claim(error: Exception, scope: Scope) -> None:
    """Best effort: the error of the request itself must win, and a claim that stays ends with its lease."""
    recorder, beating = scope["state"].get(STATE), scope["state"].get(HEARTBEAT)
    if isinstance(beating, asyncio.Task):
        beating.cancel()
    if isinstance(recorder, Recorder):
        try:
            await recorder.release()
        except RagstoreError as failure:
            log.warning("an Idempotency-Key stays claimed until its lease ends", error=failure.slug)


__all__ = ["check_idempotency", "provide_recorder", "release_claim", "stop_heartbeat"]
