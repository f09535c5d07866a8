import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from ragstore.collection.tables import Collection, EmbeddingModel
from ragstore.database import AsyncSession

WITH_MODEL = select(Collection, col(EmbeddingModel.name)).join(
    EmbeddingModel,
    (col(EmbeddingModel.tenant_id) == col(Collection.tenant_id)) & (col(EmbeddingModel.id) == col(Collection.model_id)),
)

HAS_INDEX = text("SELECT to_regclass(:name) IS NOT NULL")


async def find_collection(
    session: AsyncSession, tenant_id: uuid.UUID, name: str, *, lock: bool = False
) -> tuple[Collection, str] | None:
    """The collection and the name of its model; `lock` keeps others from changing or deleting it until commit."""
    statement = WITH_MODEL.where(col(Collection.tenant_id) == tenant_id, col(Collection.name) == name)
    if lock:
        statement = statement.with_for_update(of=Collection)
    return (await session.exec(statement)).one_or_none()


async def find_collection_by_id(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID
) -> tuple[Collection, str] | None:
    """The collection and the name of its model."""
    statement = WITH_MODEL.where(col(Collection.tenant_id) == tenant_id, col(Collection.id) == collection_id)
    return (await session.exec(statement)).one_or_none()


async def list_collections(
    session: AsyncSession, tenant_id: uuid.UUID, after: str | None, limit: int
) -> Sequence[tuple[Collection, str]]:
    """By name."""
    statement = WITH_MODEL.where(col(Collection.tenant_id) == tenant_id).order_by(col(Collection.name)).limit(limit)
    if after is not None:
        statement = statement.where(col(Collection.name) > after)
    return (await session.exec(statement)).all()


async def update_collection(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, changes: dict[str, Any]
) -> None:
    await session.exec(
        update(Collection)
        .where(col(Collection.tenant_id) == tenant_id, col(Collection.id) == collection_id)
        .values(**changes, updated_at=func.now())
    )


async def count_in(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, *, documents: int, chunks: int, terms: int
) -> Row[Any] | None:
    """Change the collection's counts; last before the commit, since it makes other writers wait. Answers the chunks
    there are now, the model and the mode of its index.
    """
    changed = await session.exec(
        update(Collection)
        .where(col(Collection.tenant_id) == tenant_id, col(Collection.id) == collection_id)
        .values(
            document_count=col(Collection.document_count) + documents,
            chunk_count=col(Collection.chunk_count) + chunks,
            term_total=col(Collection.term_total) + terms,
        )
        .returning(col(Collection.chunk_count), col(Collection.model_id), col(Collection.index_mode))
    )
    return changed.one_or_none()


async def delete_collection(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID) -> None:
    await session.exec(
        delete(Collection).where(col(Collection.tenant_id) == tenant_id, col(Collection.id) == collection_id)
    )


async def find_by_id(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID) -> Collection | None:
    statement = select(Collection).where(col(Collection.tenant_id) == tenant_id, col(Collection.id) == collection_id)
    return (await session.exec(statement)).one_or_none()


async def has_index(session: AsyncSession, name: str) -> bool:
    """Whether an index of this name is there, valid or not."""
    found = await (await session.connection()).execute(HAS_INDEX, {"name": f"public.{name}"})
    return bool(found.scalar_one())


async def ensure_model(session: AsyncSession, tenant_id: uuid.UUID, name: str, code_version: int) -> int:
    """The tenant's number for a model, given once and for all."""
    mine = select(col(EmbeddingModel.id)).where(
        col(EmbeddingModel.tenant_id) == tenant_id, col(EmbeddingModel.name) == name
    )
    found = (await session.exec(mine)).one_or_none()
    if found is not None:
        return found
    connection = await session.connection()
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('embedding_model ' || :tenant, 0))"),
        {"tenant": str(tenant_id)},
    )
    next_id = select(func.coalesce(func.max(col(EmbeddingModel.id)), 0) + 1).where(
        col(EmbeddingModel.tenant_id) == tenant_id
    )
    await session.exec(
        insert(EmbeddingModel)
        .values(
            tenant_id=tenant_id,
            id=next_id.scalar_subquery(),
            name=name,
            code_version=code_version,
        )
        .on_conflict_do_nothing(index_elements=["tenant_id", "name"])
    )
    return (await session.exec(mine)).one()
