"""What lives as long as the application: made once at start, closed at shutdown."""

import asyncio
from dataclasses import dataclass, field

from ragstore.collection.handles import CollectionHandles
from ragstore.database import Database
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.job.worker import Worker
from ragstore.reranking.reranker import Reranker
from ragstore.settings import Settings
from ragstore.tenant.service import Authenticator


@dataclass(frozen=True)
class AppState:
    settings: Settings
    database: Database
    embedders: EmbedderRegistry
    authenticator: Authenticator
    reranker: Reranker | None = None  # None: none is configured
    worker: Worker | None = None  # None: jobs are run by other processes
    stopping: asyncio.Event = field(default_factory=asyncio.Event)  # streams end, and no more jobs are claimed
    handles: CollectionHandles = field(default_factory=CollectionHandles)
