"""The steps of a change of model, each in a transaction of its own that keeps writers of the collection out."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ragstore.collection.queries import lock_models, update_collection
from ragstore.collection.service import drop_index
from ragstore.collection.tables import Collection
from ragstore.database import AsyncSession
from ragstore.errors import Conflict
from ragstore.job.service import enqueue
from ragstore.reembedding import queries
from ragstore.reembedding.tables import Reembedding

DROP_VECTORS = "drop_vectors"
LACKING = "Some passages lack a vector of the model that searches are to use; they are being filled. Try again."


@dataclass(frozen=True)
class Change:
    """`row` is of the change that is under way or being cleaned up after, if there is one."""

    session: AsyncSession
    tenant_id: uuid.UUID
    collection: Collection
    row: Reembedding | None

    @property
    def state(self) -> str:
        return self.row.state if self.row else "none"

    def expect(self, *states: str) -> Reembedding:
        """Raises Conflict in any other state."""
        if self.row is None or self.row.state not in states:
            now = f"it is {self.state}" if self.row else "there is none"
            raise Conflict(f"This needs a change of the model that is {' or '.join(states)}; {now}.")
        return self.row

    async def is_complete(self) -> bool:
        """Whether every passage has a vector of the second model."""
        second = self.collection.second_model_id
        if second is None:
            return False
        return not await queries.has_gap(self.session, self._scope(second), self.collection.model_id)

    async def switch(self, grace: float) -> None:
        """Searches that begin after the commit use the next model. Its vectors must be complete."""
        row = self.expect("filling", "ready")
        await self._set_models(model_id=row.model_to, next_model_id=None, previous_model_id=row.model_from)
        now = datetime.now(UTC)
        await self._change(state="switched", switched_at=now)
        if not row.keep_old:
            await self._request_drop(grace, finish=now.isoformat())

    async def roll_back(self) -> None:
        """Searches use the model from before; the other's vectors are kept, for another attempt."""
        row = self.expect("switched")
        await self._set_models(model_id=row.model_from, next_model_id=row.model_to, previous_model_id=None)
        await self._change(state="ready", switch="manual", switched_at=None)

    async def finish(self, grace: float) -> None:
        """No way back from here. The old vectors go `grace` seconds after the switch at the earliest."""
        row = self.expect("switched")
        await self.stop_second("switched")
        since = (datetime.now(UTC) - row.switched_at).total_seconds() if row.switched_at else 0.0
        await self._change(job_id=await self._request_drop(max(0.0, grace - since)))

    async def give_up(self) -> None:
        await self.stop_second("filling", "ready")
        await self._change(job_id=await self._request_drop(0))

    async def stop_second(self, *states: str) -> None:
        """Writers store vectors of one model only, and nothing keeps the others from being dropped."""
        row = self.expect(*states)
        second = row.model_from if row.state == "switched" else row.model_to
        await self._set_models(next_model_id=None, previous_model_id=None)
        await drop_index(self.session, self.tenant_id, self.collection.id, second)
        await self._change(state="dropping")

    async def _request_drop(self, delay: float, *, finish: str | None = None) -> uuid.UUID:
        name = str(self.collection.id)
        payload = {"collection_id": name} | ({"finish": finish} if finish else {})
        key = f"{name} {finish}" if finish else name
        return await enqueue(self.session, self.tenant_id, DROP_VECTORS, payload, delay=delay, dedupe_key=key)

    async def _set_models(self, **models: Any) -> None:
        await update_collection(self.session, self.tenant_id, self.collection.id, models)

    async def _change(self, **changes: Any) -> None:
        await queries.change(self.session, self.tenant_id, self.collection.id, **changes)

    def _scope(self, model_id: int) -> dict[str, Any]:
        return {"tenant_id": self.tenant_id, "collection_id": self.collection.id, "model_id": model_id}


async def open_change(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID) -> Change | None:
    """Until commit nobody stores passages or changes models. None when the collection is gone."""
    await lock_models(session, collection_id)
    collection = await queries.find_collection(session, tenant_id, collection_id)
    if collection is None:
        return None
    return Change(session, tenant_id, collection, await queries.find(session, tenant_id, collection_id))
