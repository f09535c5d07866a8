from typing import Annotated, Literal

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from ragstore.ingestion.service import IngestionService
from ragstore.ingestion.streaming.exchange import Exchange, StreamLimits
from ragstore.ingestion.streaming.reading import Reader
from ragstore.ingestion.streaming.schemas import ImportPositionRead
from ragstore.ingestion.streaming.service import Importer, open_import, read_position
from ragstore.tenant.guard import READ, WRITE_LINES

NAME = "The caller's own name for this import, 1 to 200 characters: sent again under it, it goes on where it stopped."
AFTER = "So many lines, stored before under this name, are left out of the body."
RESULTS = "`failures`: only the lines that failed are answered, and the summary."


class ImportAnswer(ASGIResponse):
    """Reads the body while it answers, which a framework's streamed response does not: it listens for the end only."""

    def __init__(self, importer: Importer, limits: StreamLimits, after: int, *, only_failures: bool) -> None:
        super().__init__()
        self.conversation = (importer, limits, after, only_failures)

    __slots__ = ("conversation",)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        importer, limits, after, only_failures = self.conversation
        reader = Reader(receive, limits.longest_line, importer.position, after)
        await Exchange(importer, reader, send, limits.stopping, only_failures=only_failures).run()


@post("/", opt=WRITE_LINES, status_code=200, request_max_body_size=None)
async def import_documents(
    collection: FromPath[str],
    ingestion: NamedDependency[IngestionService],
    stream_limits: NamedDependency[StreamLimits],
    name: Annotated[str | None, QueryParameter(name="import", description=NAME)] = None,
    after: Annotated[int, QueryParameter(ge=0, description=AFTER)] = 0,
    results: Annotated[Literal["all", "failures"], QueryParameter(description=RESULTS)] = "all",
) -> ImportAnswer:
    """A document a line, as many as there are. Each line is answered by a line, in order, as soon as it is stored;
    the last line sums up.
    """
    importer = await open_import(ingestion, collection, name, after)
    return ImportAnswer(importer, stream_limits, after, only_failures=results == "failures")


@get("/", opt=READ)
async def read_import(
    collection: FromPath[str],
    ingestion: NamedDependency[IngestionService],
    name: Annotated[str, QueryParameter(name="import", description=NAME)],
) -> ImportPositionRead:
    """How far a named import has come; known for a week."""
    return await read_position(ingestion, collection, name)


router = Router(
    "/collections/{collection:str}/documents/import",
    route_handlers=[import_documents, read_import],
    tags=["documents"],
)
