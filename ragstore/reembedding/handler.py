"""The jobs of a change of model: filling the second model's vectors, and dropping those that nobody wants."""

import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from ragstore.collection.indexing import is_wanted, name_index, request_index
from ragstore.collection.queries import has_index, hold_models
from ragstore.collection.tables import Collection
from ragstore.document.tidying import request_vacuum
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import ProviderFailed, ProviderUnavailable, Unprocessable
from ragstore.index.queries import find_index, find_live_job
from ragstore.job.context import JobContext
from ragstore.job.outcomes import RetryLater
from ragstore.reembedding import queries
from ragstore.reembedding.changes import Change, open_change
from ragstore.reembedding.filling import Filling, SecondModelChanged
from ragstore.reembedding.overlap import Comparison
from ragstore.reembedding.tables import Reembedding

LOCKED_SECONDS = 1.0
DROP_BATCH = 500  # rows a transaction deletes: nobody waits long for it
STOPPED = {"state": "stopped"}


@dataclass(frozen=True)
class ReembedHandler:
    """Decided anew, at every step, by what is there: the change may be switched or given up at any time."""

    embedders: EmbedderRegistry
    index_threshold: int
    grace: float
    pause: float = 5.0  # seconds until it looks again whether the index is there, or another job is done

    async def run(self, context: JobContext) -> dict[str, Any]:
        collection_id = uuid.UUID(context.payload["collection_id"])
        while True:
            try:
                result = await self._advance(context, collection_id)
            except SecondModelChanged:
                return STOPPED
            if result is not None:
                return result

    async def _advance(self, context: JobContext, collection_id: uuid.UUID) -> dict[str, Any] | None:
        """None when passages lack vectors again, of writers whose provider failed."""
        found = await self._open(context, collection_id)
        if found is None:
            return STOPPED
        collection, row, names = found
        if row.overlap is None or row.state == "switched":
            await self._fill(context, collection, names)
        if row.state == "switched":
            return {"state": "switched"}
        if row.overlap is None:
            await self._compare(context, collection, row, names)
        if row.switch == "auto":
            await self._wait_for_index(context, collection, row.model_to)
        return await self._settle(context, collection_id)

    async def _open(
        self, context: JobContext, collection_id: uuid.UUID
    ) -> tuple[Collection, Reembedding, dict[int, str]] | None:
        tenant_id = context.job.tenant_id
        async with context.transaction() as session:
            if await queries.is_another_running(session, tenant_id, context.job.id, str(collection_id)):
                raise RetryLater(self.pause)
            collection = await queries.find_collection(session, tenant_id, collection_id)
            row = await queries.find(session, tenant_id, collection_id)
            names = await queries.list_models(session, tenant_id)
        if collection is None or row is None or collection.second_model_id is None:
            return None
        return collection, row, names

    async def _fill(self, context: JobContext, collection: Collection, names: dict[int, str]) -> None:
        """A provider that fails after some batches costs no attempt: a long change may meet many short faults."""
        model_id = collection.second_model_id
        assert model_id is not None  # noqa: S101  # _open has looked
        embedder = self.embedders.get(names[model_id])
        filling = Filling(context, collection.id, model_id, embedder, collection.chunk_count)
        try:
            await filling.run()
        except (ProviderFailed, ProviderUnavailable) as error:
            if not filling.filled:
                raise
            await context.report(message=error.detail)
            raise RetryLater(error.retry_after or self.pause) from error

    async def _compare(
        self, context: JobContext, collection: Collection, row: Reembedding, names: dict[int, str]
    ) -> None:
        await context.report(message="comparing")
        models = {model_id: names[model_id] for model_id in (row.model_from, row.model_to)}
        metric: Any = collection.metric  # the table has a check
        comparison = Comparison(context.database, collection.id, metric, collection.chunk_count, models)
        overlap = await comparison.measure(self.embedders, row.queries)
        kept = {"queries": 0, "mean": 1.0, "min": 1.0} if overlap is None else msgspec.to_builtins(overlap)
        async with context.transaction() as session:
            await queries.change(session, context.job.tenant_id, collection.id, overlap=kept)

    async def _wait_for_index(self, context: JobContext, collection: Collection, model_id: int) -> None:
        """Searches of a collection that has an index are not to be without one. Raises RetryLater until it is there."""
        tenant_id = context.job.tenant_id
        async with context.transaction() as session:
            present = await has_index(session, name_index(tenant_id, collection.id, collection.model_id))
            if not is_wanted(collection.index_mode, collection.chunk_count, self.index_threshold, present=present):
                return
            found = await find_index(session, name_index(tenant_id, collection.id, model_id))
            if found is not None and found.valid:
                return
            if await find_live_job(session, tenant_id, collection.id, model_id) is None:
                await self._request_index(context, session, collection.id, model_id)
        await context.report(message="building the index")
        raise RetryLater(self.pause)

    async def _request_index(self, context: JobContext, session: Any, collection_id: uuid.UUID, model_id: int) -> None:
        failed = await queries.find_failed_build(session, context.job.tenant_id, f"{collection_id} {model_id}")
        if failed is not None:
            raise Unprocessable(f"The new model's index could not be built: see job {failed}. `switch` goes without.")
        await request_index(session, context.job.tenant_id, collection_id, model_id)

    async def _settle(self, context: JobContext, collection_id: uuid.UUID) -> dict[str, Any] | None:
        async with context.transaction() as session:
            change = await open_change(session, context.job.tenant_id, collection_id)
            if change is None or change.row is None or change.state not in ("filling", "ready"):
                return STOPPED
            if not await change.is_complete():
                await queries.change(session, context.job.tenant_id, collection_id, overlap=None)
                return None
            state = await self._take_step(change, change.row)
            result = {"state": state, "overlap": change.row.overlap}
            await context.finish(session, result)
        return result

    async def _take_step(self, change: Change, row: Reembedding) -> str:
        if row.switch == "auto":
            await change.switch(self.grace)
            return "switched"
        await queries.change(change.session, change.tenant_id, change.collection.id, state="ready")
        return "ready"


@dataclass(frozen=True)
class DropHandler:
    """Deletes vectors of models that the collection has no use for. `finish` in the payload: of the switch of that
    moment the old model's too, unless it was taken back.
    """

    async def run(self, context: JobContext) -> dict[str, int]:
        tenant_id, collection_id = context.job.tenant_id, uuid.UUID(context.payload["collection_id"])
        if (at := context.payload.get("finish")) is not None:
            async with context.transaction() as session:
                change = await open_change(session, tenant_id, collection_id)
                row = change.row if change else None
                if change and row and row.switched_at and row.state == "switched" and row.switched_at.isoformat() == at:
                    await change.stop_second("switched")
        dropped = 0
        async with context.transaction() as session:
            models = list(await queries.list_models(session, tenant_id))
        for model_id in models:
            while batch := await self._drop(context, collection_id, model_id):
                dropped += batch
                await context.report(done=dropped)
        async with context.transaction() as session:
            await queries.forget(session, tenant_id, collection_id)
            if dropped:
                await request_vacuum(session)
        return {"vectors": dropped}

    async def _drop(self, context: JobContext, collection_id: uuid.UUID, model_id: int) -> int:
        """The models are held meanwhile: nobody begins to need what is deleted here."""
        tenant_id = context.job.tenant_id
        scope = {"tenant_id": tenant_id, "collection_id": collection_id, "model_id": model_id}
        async with context.transaction() as session:
            models = await hold_models(session, tenant_id, collection_id)
            if models is None or model_id in tuple(models):
                return 0
            dropped = await queries.drop_vectors(session, scope, DROP_BATCH)
            if not dropped and await queries.count_vectors(session, scope):  # others hold them at this moment
                raise RetryLater(LOCKED_SECONDS)
        return dropped
