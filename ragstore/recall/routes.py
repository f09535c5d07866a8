import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from ragstore.document.routes import read_filter
from ragstore.errors import InvalidRequest
from ragstore.recall.schemas import RecallReport, Source
from ragstore.recall.service import RecallService, Wanted
from ragstore.tenant.guard import READ
from ragstore.tenant.schemas import Caller

Answer = TypeVar("Answer")


@get("/", opt=READ)
async def measure_recall(
    name: FromPath[str],
    request: Request[Caller, None, Any],
    recall_service: NamedDependency[RecallService],
    samples: Annotated[int, QueryParameter(ge=1, le=200, description="Queries to ask.")] = 20,
    top_k: Annotated[int, QueryParameter(ge=1, le=100, description="Hits of each that are compared.")] = 10,
    source: Annotated[
        Source, QueryParameter(description="`stored`: stored vectors; `queries`: what this process was asked lately.")
    ] = "stored",
    seconds: Annotated[float, QueryParameter(ge=0.1, le=60, description="Stop after so long.")] = 10.0,
    filter: Annotated[str | None, QueryParameter(description="A filter as JSON text.")] = None,
) -> RecallReport:
    """How much of the exact answer a search by vectors finds, measured on sampled queries in one snapshot."""
    wanted = Wanted(samples, top_k, source, seconds, read_filter(filter))
    return await work_while_connected(request, recall_service.measure(name, wanted))


async def work_while_connected(request: Request[Caller, None, Any], work: Coroutine[Any, Any, Answer]) -> Answer:
    """Ends the work, and with it its transaction, when the client goes away before the answer."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(wait_for_departure(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise InvalidRequest("The client went away before the answer was there.")
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def wait_for_departure(request: Request[Caller, None, Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


router = Router("/collections/{name:str}/recall", route_handlers=[measure_recall], tags=["search"])
