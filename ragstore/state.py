"""What lives as long as the application: made once at start, closed at shutdown."""

from dataclasses import dataclass, field

from ragstore.collection.handles import CollectionHandles
from ragstore.database import Database
from ragstore.document.vacuum import Vacuum
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.settings import Settings
from ragstore.tenant.service import Authenticator


@dataclass(frozen=True)
class AppState:
    settings: Settings
    database: Database
    embedders: EmbedderRegistry
    vacuum: Vacuum
    authenticator: Authenticator
    handles: CollectionHandles = field(default_factory=CollectionHandles)
