from typing import Annotated, Any

from litestar import Request, Response, Router, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from ragstore.ingestion.acceptance import ACCEPTED, AcceptanceService, is_to_wait
from ragstore.ingestion.schemas import DocumentsUpsert, UpsertResults
from ragstore.ingestion.service import IngestionService
from ragstore.tenant.guard import WRITE

AnyRequest = Request[Any, Any, Any]
Wait = Annotated[
    bool | None,
    QueryParameter(description="Answer when all is searchable. Unset: for up to 100 documents and 1 MiB of body."),
]
LATER = ResponseSpec(UpsertResults, description="The good documents are `accepted`: `job` is about to store them")


@post("/", opt=WRITE, status_code=200, responses={ACCEPTED: LATER})
async def upsert_documents(
    request: AnyRequest,
    collection: FromPath[str],
    data: JSONBody[DocumentsUpsert],
    ingestion: NamedDependency[IngestionService],
    acceptance: NamedDependency[AcceptanceService],
    wait: Wait = None,
) -> Response[UpsertResults]:
    """Store documents, replacing those whose key is known. 200: they are searchable; a retry changes nothing. 202 for
    many of them, or with `wait=false`: they are kept, and a job stores them.
    """
    if is_to_wait(wait, len(data.documents), len(await request.body())):
        return Response(await ingestion.upsert(collection, data.documents, chunking=data.chunking))
    accepted = await acceptance.accept(collection, data.documents, chunking=data.chunking)
    headers = {"Location": f"/v1/jobs/{accepted.job.id}"} if accepted.job else {}
    return Response(accepted, status_code=ACCEPTED, headers=headers)


router = Router("/collections/{collection:str}/documents", route_handlers=[upsert_documents], tags=["documents"])
