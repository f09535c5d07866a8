from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from ragstore.search.schemas import BatchResults, CrossSearchRequest, SearchRequest, SearchResults
from ragstore.search.service import SearchService
from ragstore.tenant.guard import READ


@post("/", opt=READ, status_code=200, summary="Search a collection")
async def search_collection(
    collection: FromPath[str], data: JSONBody[SearchRequest], search_service: NamedDependency[SearchService]
) -> SearchResults | BatchResults:
    """The passages that answer best, by meaning, by words or by both, best first; several `queries` in one call."""
    return await search_service.search(collection, data)


@post("/", opt=READ, status_code=200, summary="Search several collections")
async def search_collections(
    data: JSONBody[CrossSearchRequest], search_service: NamedDependency[SearchService]
) -> SearchResults | BatchResults:
    """The same over several collections, in one ranked list."""
    return await search_service.search_across(data)


router = Router("/collections/{collection:str}/search", route_handlers=[search_collection], tags=["search"])
across = Router("/search", route_handlers=[search_collections], tags=["search"])
