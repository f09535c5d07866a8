"""Is the process alive, and can it do its work?"""

import asyncio

import msgspec
from litestar import Request, Router, get

from ragstore.errors import PoolExhausted, RagstoreError, Unavailable
from ragstore.state import AppState
from ragstore.tenant.guard import PUBLIC

PATIENCE = 2.0


class Health(msgspec.Struct):
    status: str


@get("/live", opt=PUBLIC)
async def check_liveness() -> Health:
    """200 while the process runs; asks nothing of the database."""
    return Health("ok")


@get("/ready", opt=PUBLIC)
async def check_readiness(request: Request[None, None, AppState]) -> Health:  # type: ignore[type-var]  # our own state
    """200 when the database answers; 503 otherwise."""
    state: AppState = request.app.state.ragstore
    try:
        async with asyncio.timeout(PATIENCE):
            await state.database.ping()
    except PoolExhausted:
        pass  # busy is not broken: taking a busy replica away would only make the others busier
    except (TimeoutError, RagstoreError) as error:
        raise Unavailable("The database does not answer.", retry_after=1) from error
    return Health("ok")


router = Router("/health", route_handlers=[check_liveness, check_readiness], tags=["health"])
