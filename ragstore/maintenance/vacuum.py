"""Keeps the code index index-only: Postgres reads a row's visibility from the heap until VACUUM has been there."""

import time
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ragstore.database import Database
from ragstore.job.context import JobContext
from ragstore.job.outcomes import RetryLater
from ragstore.maintenance import queries
from ragstore.sqlstate import translate_database_error

UPKEEP_SECONDS = 5.0  # an index is being built: it asks again so late
REST = 10  # times as long as a vacuum took it is left alone afterwards: a long import is not a long vacuum

log = structlog.get_logger(__name__)


@dataclass
class VacuumHandler:
    """`owner` is a connection of the role that owns the tables; nobody else may vacuum them."""

    owner: Database
    rested_at: float = 0.0
    told: bool = False

    async def run(self, context: JobContext) -> dict[str, bool]:
        began = time.monotonic()
        if began < self.rested_at:
            raise RetryLater(self.rested_at - began)
        try:
            done = await queries.vacuum_embeddings(self.owner.engine)
        except (SQLAlchemyError, OSError) as error:
            raise translate_database_error(error) from error
        finally:
            await self.owner.engine.dispose()  # seldom used: no connection is kept for it
        if done is None:
            raise RetryLater(UPKEEP_SECONDS)
        if not done and not self.told:
            self.told = True
            log.warning("no vacuum after imports: RAGSTORE_OWNER_DATABASE_URL does not name the tables' owner")
        now = time.monotonic()
        self.rested_at = now + REST * (now - began) if now - began > 1 else 0.0
        return {"vacuumed": done}
