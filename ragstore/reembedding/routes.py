from litestar import Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from ragstore.reembedding.schemas import ReembedRead, ReembedStart
from ragstore.reembedding.service import ReembeddingService
from ragstore.tenant.guard import READ, WRITE


@post("/", opt=WRITE, status_code=202)
async def start_reembedding(
    name: FromPath[str], data: JSONBody[ReembedStart], reembedding_service: NamedDependency[ReembeddingService]
) -> ReembedRead:
    """Change the embedding model in the background. Searches answer throughout, by one model or the other."""
    return await reembedding_service.start(name, data)


@get("/", opt=READ)
async def read_reembedding(
    name: FromPath[str], reembedding_service: NamedDependency[ReembeddingService]
) -> ReembedRead:
    """How far a change of the embedding model is."""
    return await reembedding_service.read(name)


@delete("/", opt=WRITE, status_code=200)
async def give_up_reembedding(
    name: FromPath[str], reembedding_service: NamedDependency[ReembeddingService]
) -> ReembedRead:
    """Stop a change before the switch. The new model's vectors are removed in the background."""
    return await reembedding_service.give_up(name)


@post("/switch", opt=WRITE, status_code=200)
async def switch_model(name: FromPath[str], reembedding_service: NamedDependency[ReembeddingService]) -> ReembedRead:
    """Search with the new model from now on. 409 while passages lack its vectors."""
    return await reembedding_service.switch(name)


@post("/rollback", opt=WRITE, status_code=200)
async def roll_back_model(name: FromPath[str], reembedding_service: NamedDependency[ReembeddingService]) -> ReembedRead:
    """Search with the old model again, while its vectors are kept."""
    return await reembedding_service.roll_back(name)


@post("/finish", opt=WRITE, status_code=202)
async def finish_reembedding(
    name: FromPath[str], reembedding_service: NamedDependency[ReembeddingService]
) -> ReembedRead:
    """Remove the old model's vectors in the background. There is no way back from here."""
    return await reembedding_service.finish(name)


router = Router(
    "/collections/{name:str}/reembed",
    route_handlers=[
        start_reembedding,
        read_reembedding,
        give_up_reembedding,
        switch_model,
        roll_back_model,
        finish_reembedding,
    ],
    tags=["collections"],
)
