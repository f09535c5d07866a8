"""The vectors of texts, by each model that the collection's passages have vectors of."""

import asyncio
from collections.abc import Sequence

import structlog

from ragstore.collection.service import CollectionHandle
from ragstore.document.publishing import ModelVectors
from ragstore.embedding.codes import encode
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import RagstoreError

log = structlog.get_logger(__name__)


async def embed_for_models(
    embedders: EmbedderRegistry, handle: CollectionHandle, texts: Sequence[str]
) -> tuple[ModelVectors, ModelVectors | None]:
    """By the model that searches use, and by the second one, if there is one. Raises what the first model's provider
    raises. A second model that fails keeps nobody from writing: None, and what lacks its vector is filled later.
    """
    second = asyncio.create_task(embed_second(embedders, handle, texts))
    try:
        return await embed_by(embedders, handle.model, handle.model_id, texts), await second
    finally:
        second.cancel()


async def embed_second(
    embedders: EmbedderRegistry, handle: CollectionHandle, texts: Sequence[str]
) -> ModelVectors | None:
    if handle.second_model is None:
        return None
    try:
        return await embed_by(embedders, handle.second_model.name, handle.second_model.id, texts)
    except RagstoreError as error:
        log.warning("no vectors of the second model", model=handle.second_model.name, error=error.detail)
        return None


async def embed_by(embedders: EmbedderRegistry, model: str, model_id: int, texts: Sequence[str]) -> ModelVectors:
    vectors = await embedders.get(model).embed_documents(texts)
    return ModelVectors(model_id, vectors, await asyncio.to_thread(encode, vectors))
