from typing import Annotated, Literal
from uuid import UUID

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from ragstore.chat.context.schemas import ContextRead
from ragstore.chat.context.service import ContextService
from ragstore.chat.context.shapes import to_prompt
from ragstore.chat.schemas import OpenAIMessage
from ragstore.database import TenantDatabase
from ragstore.tenant.guard import READ

MaxTokens = Annotated[int, QueryParameter(ge=1, le=10_000_000, description="The messages have no more in all.")]
Summary = Annotated[bool, QueryParameter(description="Whether a summary may stand for what is left out.")]
Format = Annotated[
    Literal["openai"] | None,
    QueryParameter(description="`openai`: a bare list of what a chat completion takes, the summary among it."),
]


@get("/context", opt=READ)
async def read_context(
    session_id: FromPath[UUID],
    tenant_database: NamedDependency[TenantDatabase],
    summarising: NamedDependency[bool],
    max_tokens: MaxTokens,
    summary: Summary = True,
    format: Format = None,
) -> ContextRead | list[OpenAIMessage]:
    """The messages that fit: system messages and the newest turns whole, in order."""
    async with tenant_database.transaction() as session:
        service = ContextService(session, tenant_database.tenant_id, summarising)
        found = await service.read(session_id, max_tokens, with_summary=summary)
    return to_prompt(found) if format == "openai" else found


router = Router("/sessions/{session_id:uuid}", route_handlers=[read_context], tags=["sessions"])
