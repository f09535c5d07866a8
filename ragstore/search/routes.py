from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from ragstore.search.schemas import SearchRequest, SearchResults
from ragstore.search.service import SearchService
from ragstore.tenant.guard import READ


@post("/", opt=READ, status_code=200)
async def search_collection(
    collection: FromPath[str], data: JSONBody[SearchRequest], search_service: NamedDependency[SearchService]
) -> SearchResults:
    """The passages nearest in meaning, best first."""
    return await search_service.search(collection, data)


router = Router("/collections/{collection:str}/search", route_handlers=[search_collection], tags=["search"])
