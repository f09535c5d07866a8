"""The vectors of texts by the second model of a collection that changes its model."""

import asyncio
from collections.abc import Sequence

import structlog

from ragstore.collection.service import CollectionHandle
from ragstore.document.versions import ModelVectors
from ragstore.embedding.codes import encode
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import RagstoreError

log = structlog.get_logger(__name__)


async def embed_second(
    embedders: EmbedderRegistry, handle: CollectionHandle, texts: Sequence[str]
) -> ModelVectors | None:
    """A second model that fails keeps nobody from writing: None, and what lacks its vector is filled later."""
    if handle.second_model is None or not texts:
        return None
    try:
        vectors = await embedders.get(handle.second_model.name).embed_documents(texts)
    except RagstoreError as error:
        log.warning("no vectors of the second model", model=handle.second_model.name, error=error.detail)
        return None
    return ModelVectors(handle.second_model.id, vectors, await asyncio.to_thread(encode, vectors))
