"""What lives as long as the application: made once at start, closed at shutdown."""

import asyncio
from dataclasses import dataclass, field

from ragstore.collection.handles import CollectionHandles
from ragstore.database import Database
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.generation.model import ChatModel
from ragstore.job.worker import Worker
from ragstore.parsing.supervisor import Parser
from ragstore.reranking.reranker import Reranker
from ragstore.search.recent import RecentQueries
from ragstore.search.samples import Samples
from ragstore.settings import Settings
from ragstore.tenant.service import Authenticator


@dataclass(frozen=True)
class AppState:
    settings: Settings
    database: Database
    embedders: EmbedderRegistry
    authenticator: Authenticator
    parser: Parser
    reranker: Reranker | None = None  # None: none is configured
    chat_model: ChatModel | None = None  # likewise
    worker: Worker | None = None  # None: jobs are run by other processes
    stopping: asyncio.Event = field(default_factory=asyncio.Event)  # streams end, and no more jobs are claimed
    handles: CollectionHandles = field(default_factory=CollectionHandles)
    samples: Samples = field(default_factory=Samples)
    recent: RecentQueries = field(default_factory=RecentQueries)
    auditing: asyncio.Lock = field(default_factory=asyncio.Lock)  # one recall is measured at a time
