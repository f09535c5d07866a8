"""The composition root of the HTTP service: the one place that knows every part."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.middleware import DefineMiddleware
from litestar.types import ExceptionHandlersMap

import ragstore.chat.answers.routes
import ragstore.chat.context.routes
import ragstore.chat.messages.routes
import ragstore.chat.owners.routes
import ragstore.chat.sessions.routes
import ragstore.collection.routes
import ragstore.doctor.routes
import ragstore.document.export.routes
import ragstore.document.routes
import ragstore.health
import ragstore.index.routes
import ragstore.ingestion.files.routes
import ragstore.ingestion.routes
import ragstore.ingestion.streaming.routes
import ragstore.job.routes
import ragstore.recall.routes
import ragstore.reembedding.routes
import ragstore.search.routes
import ragstore.tenant.routes
from ragstore.chat.context.summaries import SUMMARISE, SummaryHandler
from ragstore.collection.indexing import INDEX
from ragstore.collection.models import REEMBED
from ragstore.database import Database
from ragstore.dependencies import make_dependencies
from ragstore.document.tidying import FOLD_TERMS, VACUUM, FoldTermsHandler
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.entrypoints import console
from ragstore.errors import ConfigurationError, RagstoreError
from ragstore.generation.model import ChatModel
from ragstore.generation.openai_compatible import make_chat_model
from ragstore.idempotency.hook import check_idempotency, release_claim, stop_heartbeat
from ragstore.index.handler import BuildOptions, IndexHandler
from ragstore.ingestion.acceptance import INGEST
from ragstore.ingestion.files.handler import FileHandler
from ragstore.ingestion.files.service import READ_FILE
from ragstore.ingestion.handler import IngestHandler
from ragstore.job.context import Handler
from ragstore.job.listener import Listener
from ragstore.job.worker import Worker, WorkerOptions
from ragstore.logs import log_requests
from ragstore.maintenance.sweep import SWEEP, SweepHandler, list_sweeps, request_sweep
from ragstore.maintenance.vacuum import VacuumHandler
from ragstore.migrate import current_revision, latest_revision
from ragstore.openapi import make_assets, make_openapi
from ragstore.parsing.supervisor import Parser, ParserOptions
from ragstore.problems import render_problem
from ragstore.reembedding.changes import DROP_VECTORS
from ragstore.reembedding.handler import DropHandler, ReembedHandler
from ragstore.reranking.endpoint import make_reranker
from ragstore.reranking.reranker import Reranker
from ragstore.settings import Settings, load_settings
from ragstore.state import AppState
from ragstore.tenant.guard import ApiKeyAuthentication, require_json, require_known_query, require_scope
from ragstore.tenant.service import Authenticator
from ragstore.walls import check_walls

LONGEST_VACUUM = 6 * 3600.0
LONGEST_BUILD = 7 * 24 * 3600.0
FIRST_SWEEP = 20.0  # seconds after the start, when the service is busy enough
JOBS_SHARE = 0.75  # of the time to shut down: then jobs go back into the queue, before the process is killed


def make_state(
    settings: Settings,
    embedders: EmbedderRegistry | None = None,
    reranker: Reranker | None = None,
    chat_model: ChatModel | None = None,
) -> AppState:
    if settings.database_url is None:
        raise ConfigurationError("The service needs RAGSTORE_DATABASE_URL; `ragstore serve` starts the embedded one.")
    database = Database.connect(settings.database_url.get_secret_value(), settings, role=settings.app_role)
    embedders = embedders or EmbedderRegistry(settings)
    stopping = asyncio.Event()
    parser = make_parser(settings)
    chat_model = chat_model or make_chat_model(settings)
    return AppState(
        settings=settings,
        database=database,
        embedders=embedders,
        authenticator=Authenticator(database),
        parser=parser,
        reranker=reranker or make_reranker(settings),
        chat_model=chat_model,
        worker=make_worker(settings, database, embedders, parser, chat_model, stopping) if settings.run_jobs else None,
        stopping=stopping,
    )


def make_parser(settings: Settings) -> Parser:
    return Parser(ParserOptions(settings.parse_memory_mb, settings.parse_timeout, settings.parse_concurrency))


def make_worker(
    settings: Settings,
    database: Database,
    embedders: EmbedderRegistry,
    parser: Parser,
    chat_model: ChatModel | None,
    stopping: asyncio.Event,
) -> Worker:
    assert settings.database_url is not None  # noqa: S101  # make_state has looked
    url = settings.database_url.get_secret_value()
    one = settings.model_copy(update={"pool_size": 1, "max_overflow": 0})
    listener = Listener(Database.connect(url, one, role=settings.app_role))
    options = WorkerOptions(
        settings.job_concurrency,
        settings.job_lease,
        settings.job_retry_delay,
        settings.pool_timeout,
        settings.job_patience_hours * 3600,
    )
    return Worker(database, listener, make_handlers(settings, embedders, parser, chat_model), options, stopping)


def make_handlers(
    settings: Settings, embedders: EmbedderRegistry, parser: Parser | None = None, chat_model: ChatModel | None = None
) -> dict[str, Handler]:
    """Who does each kind of job."""
    url = settings.owner_database_url or settings.database_url
    assert url is not None  # noqa: S101  # make_state has looked
    patient = settings.model_copy(update={"pool_size": 1, "max_overflow": 0, "statement_timeout": LONGEST_VACUUM})
    vacuum = VacuumHandler(Database.connect(url.get_secret_value(), patient))
    sweep = SweepHandler(list_sweeps(settings), settings.sweep_interval, settings.index_threshold)
    return {
        VACUUM: vacuum.run,
        SWEEP: sweep.run,
        INDEX: make_index_handler(settings, url.get_secret_value()).run,
        FOLD_TERMS: FoldTermsHandler().run,
        INGEST: IngestHandler(embedders, settings.index_threshold).run,
        READ_FILE: FileHandler(parser or make_parser(settings), embedders, settings.index_threshold).run,
        REEMBED: ReembedHandler(embedders, settings.index_threshold, settings.old_vectors_grace).run,
        DROP_VECTORS: DropHandler().run,
        SUMMARISE: SummaryHandler(chat_model).run,
    }


def make_index_handler(settings: Settings, owner_url: str) -> IndexHandler:
    two = settings.model_copy(update={"pool_size": 2, "max_overflow": 0, "statement_timeout": LONGEST_BUILD})
    options = BuildOptions(
        settings.index_threshold,
        settings.index_build_memory_mb,
        settings.index_build_workers,
        quiet=settings.index_build_quiet,
    )
    return IndexHandler(Database.connect(owner_url, two), options)


@asynccontextmanager
async def run_state(state: AppState) -> AsyncIterator[None]:
    """Raises ConfigurationError when the database is not at this version's schema, or its walls are open."""
    try:
        await check_schema(state.database)
    except BaseException:
        await state.database.close()
        raise
    trimming = asyncio.create_task(state.database.keep_trimmed(), name="trim the pool")
    try:
        await state.embedders.load()
        if state.worker is not None:
            await start_worker(state.worker, state.database)
        yield
    finally:
        state.stopping.set()
        trimming.cancel()
        if state.worker is not None:
            await state.worker.stop(JOBS_SHARE * state.settings.shutdown_timeout)
        await state.parser.close()
        await state.embedders.close()
        if state.reranker is not None:
            await state.reranker.close()
        if state.chat_model is not None:
            await state.chat_model.close()
        await state.database.close()


async def start_worker(worker: Worker, database: Database) -> None:
    worker.start()
    with contextlib.suppress(RagstoreError):  # a database that is busy now: another start asks too
        async with database.transaction() as session:
            await request_sweep(session, FIRST_SWEEP)


async def check_schema(database: Database) -> None:
    await check_walls(database)  # first: a login that may not act as the app role cannot ask anything else
    revision = await current_revision(database)
    if revision != latest_revision():
        raise ConfigurationError(f"The database is at revision {revision}; run `ragstore migrate` first.")


def create_app(
    settings: Settings | None = None,
    *,
    embedders: EmbedderRegistry | None = None,
    reranker: Reranker | None = None,
    chat_model: ChatModel | None = None,
) -> Litestar:
    """The service as an ASGI application. Its lifespan opens the pool; the schema must be there."""
    settings = settings or load_settings()
    state = make_state(settings, embedders, reranker, chat_model)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with run_state(state):
            yield

    app = Litestar(
        route_handlers=[make_api(settings), ragstore.health.router, console.router, make_assets()],
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


def make_api(settings: Settings) -> Router:
    return Router(
        "/v1",
        route_handlers=[
            ragstore.collection.routes.router,
            ragstore.index.routes.router,
            ragstore.reembedding.routes.router,
            ragstore.document.routes.router,
            ragstore.document.export.routes.router,
            ragstore.ingestion.routes.router,
            ragstore.ingestion.streaming.routes.router,
            ragstore.ingestion.files.routes.make_uploads(settings.max_file_bytes),
            ragstore.ingestion.files.routes.router,
            ragstore.search.routes.router,
            ragstore.search.routes.across,
            ragstore.recall.routes.router,
            ragstore.chat.owners.routes.router,
            ragstore.chat.sessions.routes.router,
            ragstore.chat.context.routes.router,
            ragstore.chat.answers.routes.router,
            ragstore.chat.messages.routes.within,
            ragstore.chat.messages.routes.router,
            ragstore.job.routes.router,
            ragstore.doctor.routes.router,
            ragstore.tenant.routes.users,
            ragstore.tenant.routes.keys,
        ],
        guards=[require_json, require_known_query],
        before_request=check_idempotency,
        after_response=stop_heartbeat,
    )


def make_exception_handlers() -> ExceptionHandlersMap:
    handlers: dict[Any, Any] = {Exception: render_problem, 500: render_problem}
    return handlers
