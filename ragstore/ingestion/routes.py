from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from ragstore.ingestion.schemas import DocumentsUpsert, UpsertResults
from ragstore.ingestion.service import IngestionService
from ragstore.tenant.guard import WRITE


@post("/", opt=WRITE, status_code=200)
async def upsert_documents(
    collection: FromPath[str], data: JSONBody[DocumentsUpsert], ingestion: NamedDependency[IngestionService]
) -> UpsertResults:
    """Store documents, replacing those whose key is known. Searchable when this answers; a retry changes nothing."""
    return await ingestion.upsert(collection, data.documents, chunking=data.chunking)


router = Router("/collections/{collection:str}/documents", route_handlers=[upsert_documents], tags=["documents"])
