"""What a handler may ask for by name, and how it is built from the application's state."""

import asyncio
from typing import Any

from litestar import Request
from litestar.di import Provide

import ragstore
from ragstore.chat.answers.service import AnswerService, Limits
from ragstore.database import TenantDatabase
from ragstore.doctor.service import DoctorService
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.idempotency.hook import provide_recorder
from ragstore.ingestion.acceptance import AcceptanceService
from ragstore.ingestion.files.service import FileIngestion
from ragstore.ingestion.service import IngestionService
from ragstore.ingestion.streaming.exchange import StreamLimits
from ragstore.job.events import JobWatch
from ragstore.recall.service import RecallService
from ragstore.reembedding.service import ReembeddingService
from ragstore.search.service import SearchService
from ragstore.search.tuning import Tuning
from ragstore.settings import Settings
from ragstore.state import AppState
from ragstore.tenant.schemas import Caller
from ragstore.tenant.service import Authenticator

AnyRequest = Request[Caller, None, Any]


def read_state(request: AnyRequest) -> AppState:
    state: AppState = request.app.state.ragstore
    return state


async def provide_tenant_database(request: AnyRequest) -> TenantDatabase:
    return TenantDatabase(read_state(request).database, request.user.tenant_id)


async def provide_caller(request: AnyRequest) -> Caller:
    return request.user


async def provide_authenticator(request: AnyRequest) -> Authenticator:
    return read_state(request).authenticator


async def provide_embedders(request: AnyRequest) -> EmbedderRegistry:
    return read_state(request).embedders


async def provide_ingestion(request: AnyRequest) -> IngestionService:
    state = read_state(request)
    recorder = await provide_recorder(request)
    threshold = state.settings.index_threshold
    return IngestionService(await provide_tenant_database(request), state.embedders, recorder, threshold)


async def provide_acceptance(request: AnyRequest) -> AcceptanceService:
    return AcceptanceService(await provide_tenant_database(request), await provide_recorder(request))


async def provide_stopping(request: AnyRequest) -> asyncio.Event:
    return read_state(request).stopping


async def provide_stream_limits(request: AnyRequest) -> StreamLimits:
    state = read_state(request)
    return StreamLimits(state.settings.max_body_bytes, state.stopping)


async def provide_file_ingestion(request: AnyRequest) -> FileIngestion:
    return FileIngestion(await provide_tenant_database(request), await provide_recorder(request))


def make_tuning(settings: Settings) -> Tuning:
    return Tuning(settings.search_candidates, settings.search_text_candidates, settings.bm25_k1, settings.bm25_b)


async def provide_search(request: AnyRequest) -> SearchService:
    state = read_state(request)
    database = await provide_tenant_database(request)
    return SearchService(
        database,
        state.embedders,
        make_tuning(state.settings),
        state.handles,
        state.samples,
        state.reranker,
        state.recent,
    )


async def provide_index_threshold(request: AnyRequest) -> int:
    return read_state(request).settings.index_threshold


async def provide_reembedding(request: AnyRequest) -> ReembeddingService:
    state = read_state(request)
    database, recorder = await provide_tenant_database(request), await provide_recorder(request)
    return ReembeddingService(database, state.embedders, recorder, state.settings.old_vectors_grace)


async def provide_recall(request: AnyRequest) -> RecallService:
    state = read_state(request)
    database = await provide_tenant_database(request)
    return RecallService(database, make_tuning(state.settings), state.samples, state.recent, state.auditing)


async def provide_doctor(request: AnyRequest) -> DoctorService:
    state = read_state(request)
    database = await provide_tenant_database(request)
    return DoctorService(database, state.settings.search_candidates, state.worker is not None, ragstore.__version__)


async def provide_summarising(request: AnyRequest) -> bool:
    state = read_state(request)
    return state.chat_model is not None and state.settings.chat_summaries


async def provide_answers(request: AnyRequest) -> AnswerService:
    state = read_state(request)
    limits = Limits(state.settings.chat_context_tokens, state.settings.chat_answer_tokens)
    return AnswerService(
        await provide_tenant_database(request),
        await provide_search(request),
        state.chat_model,
        limits,
        await provide_recorder(request),
        await provide_summarising(request),
    )


async def provide_job_watch(request: AnyRequest) -> JobWatch:
    return JobWatch(await provide_tenant_database(request), read_state(request).stopping)


def make_dependencies() -> dict[str, Provide]:
    return {
        "tenant_database": Provide(provide_tenant_database),
        "embedders": Provide(provide_embedders),
        "recorder": Provide(provide_recorder),
        "caller": Provide(provide_caller),
        "authenticator": Provide(provide_authenticator),
        "ingestion": Provide(provide_ingestion),
        "acceptance": Provide(provide_acceptance),
        "stopping": Provide(provide_stopping),
        "stream_limits": Provide(provide_stream_limits),
        "file_ingestion": Provide(provide_file_ingestion),
        "search_service": Provide(provide_search),
        "index_threshold": Provide(provide_index_threshold),
        "reembedding_service": Provide(provide_reembedding),
        "recall_service": Provide(provide_recall),
        "doctor_service": Provide(provide_doctor),
        "summarising": Provide(provide_summarising),
        "answer_service": Provide(provide_answers),
        "job_watch": Provide(provide_job_watch),
    }
