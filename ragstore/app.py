"""The composition root of the HTTP service: the one place that knows every part."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.middleware import DefineMiddleware
from litestar.types import ExceptionHandlersMap

import ragstore.chat.routes
import ragstore.collection.routes
import ragstore.document.routes
import ragstore.health
import ragstore.ingestion.routes
import ragstore.search.routes
from ragstore.database import Database
from ragstore.dependencies import make_dependencies
from ragstore.document.vacuum import Vacuum
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.entrypoints import console
from ragstore.errors import ConfigurationError
from ragstore.idempotency.hook import check_idempotency, release_claim
from ragstore.logs import log_requests
from ragstore.migrate import current_revision, latest_revision
from ragstore.openapi import make_assets, make_openapi
from ragstore.problems import render_problem
from ragstore.settings import Settings, load_settings
from ragstore.state import AppState
from ragstore.tenant.guard import ApiKeyAuthentication, require_json, require_known_query, require_scope
from ragstore.tenant.service import Authenticator
from ragstore.walls import check_walls


def make_state(settings: Settings, embedders: EmbedderRegistry | None = None) -> AppState:
    if settings.database_url is None:
        raise ConfigurationError("The service needs RAGSTORE_DATABASE_URL; `ragstore serve` starts the embedded one.")
    database = Database.connect(settings.database_url.get_secret_value(), settings, role=settings.app_role)
    return AppState(
        settings=settings,
        database=database,
        embedders=embedders or EmbedderRegistry(settings),
        vacuum=Vacuum(database),
        authenticator=Authenticator(database),
    )


@asynccontextmanager
async def run_state(state: AppState) -> AsyncIterator[None]:
    """Raises ConfigurationError when the database is not at this version's schema, or its walls are open."""
    try:
        await check_schema(state.database)
    except BaseException:
        await state.database.close()
        raise
    state.vacuum.start()
    try:
        await state.embedders.load()
        yield
    finally:
        await state.vacuum.stop()
        await state.embedders.close()
        await state.database.close()


async def check_schema(database: Database) -> None:
    revision = await current_revision(database)
    if revision != latest_revision():
        raise ConfigurationError(f"The database is at revision {revision}; run `ragstore migrate` first.")
    await check_walls(database)


def create_app(settings: Settings | None = None, *, embedders: EmbedderRegistry | None = None) -> Litestar:
    """The service as an ASGI application. Its lifespan opens the pool; the schema must be there."""
    settings = settings or load_settings()
    state = make_state(settings, embedders)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with run_state(state):
            yield

    app = Litestar(
        route_handlers=[make_api(), ragstore.health.router, console.router, make_assets()],
        dependencies=make_dependencies(),
        middleware=[DefineMiddleware(ApiKeyAuthentication)],
        guards=[require_scope],
        exception_handlers=make_exception_handlers(),
        after_exception=[release_claim],
        lifespan=[lifespan],
        openapi_config=make_openapi(),
        request_max_body_size=settings.max_body_bytes,
        logging_config=None,
    )
    app.asgi_handler = log_requests(app.asgi_handler)
    app.state.ragstore = state
    app.state.authenticator = state.authenticator
    return app


def make_api() -> Router:
    return Router(
        "/v1",
        route_handlers=[
            ragstore.collection.routes.router,
            ragstore.document.routes.router,
            ragstore.ingestion.routes.router,
            ragstore.search.routes.router,
            ragstore.chat.routes.sessions,
            ragstore.chat.routes.messages,
        ],
        guards=[require_json, require_known_query],
        before_request=check_idempotency,
    )


def make_exception_handlers() -> ExceptionHandlersMap:
    handlers: dict[Any, Any] = {Exception: render_problem, 500: render_problem}
    return handlers
