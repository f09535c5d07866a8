"""Whose vectors a collection's passages have: how writers and a change of the model keep out of each other's way."""

import uuid

from ragstore.collection import queries
from ragstore.collection.service import CollectionHandle
from ragstore.database import AsyncSession
from ragstore.job.service import enqueue

REEMBED = "reembed"


class ModelsChanged(Exception):
    """The collection's passages have vectors of other models by now than the handle says, or it is gone."""


async def hold_models(session: AsyncSession, tenant_id: uuid.UUID, handle: CollectionHandle) -> None:
    """Call first in a transaction that stores passages. Raises ModelsChanged: open the collection anew."""
    found = await queries.hold_models(session, tenant_id, handle.id)
    second = handle.second_model.id if handle.second_model else None
    if found is None or tuple(found) != (handle.model_id, second):
        raise ModelsChanged


async def request_reembedding(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID) -> uuid.UUID:
    """The job that gives each passage its vector of the second model. Call last before the commit."""
    payload = {"collection_id": str(collection_id)}
    return await enqueue(session, tenant_id, REEMBED, payload, dedupe_key=str(collection_id))
