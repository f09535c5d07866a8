import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from ragstore.collection.tables import Collection, EmbeddingModel
from ragstore.database import AsyncSession

SecondModel = aliased(EmbeddingModel, name="second_model")
WITH_MODELS = (
    select(Collection, col(EmbeddingModel.name), col(SecondModel.name))
    .join(
        EmbeddingModel,
        (col(EmbeddingModel.tenant_id) == col(Collection.tenant_id))
        & (col(EmbeddingModel.id) == col(Collection.model_id)),
    )
    .outerjoin(
        SecondModel,
        (col(SecondModel.tenant_id) == col(Collection.tenant_id))
        & (col(SecondModel.id) == func.coalesce(col(Collection.next_model_id), col(Collection.previous_model_id))),
    )
)
# A collection, the name of its model, and that of the second one its passages have vectors of.
Found = tuple[Collection, str, str | None]

# Writers hold the lock of a collection's models shared, who changes them alone. Not the row's own lock: writers that
# overlap would pass by whoever waits to change it, for ever. The row is read by a statement of its own, which sees what
# was committed while the lock was waited for; FOR KEY SHARE would give the row as it was before.
MODELS_LOCK = "hashtextextended('models ' || CAST(CAST(:collection_id AS uuid) AS text), 0)"
SHARE_MODELS = text(f"SELECT pg_advisory_xact_lock_shared({MODELS_LOCK})")
LOCK_MODELS = text(f"SELECT pg_advisory_xact_lock({MODELS_LOCK})")

HAS_INDEX = text("SELECT to_regclass(:name) IS NOT NULL")


async def find_collection(
    session: AsyncSession, tenant_id: uuid.UUID, name: str, *, lock: bool = False
) -> Found | None:
    """`lock` keeps others from changing or deleting it until commit."""
    statement = WITH_MODELS.where(col(Collection.tenant_id) == tenant_id, col(Collection.name) == name)
    if lock:
        statement = statement.with_for_update(of=Collection)
    return (await session.exec(statement)).one_or_none()


async def find_collection_by_id(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID) -> Found | None:
    statement = WITH_MODELS.where(col(Collection.tenant_id) == tenant_id, col(Collection.id) == collection_id)
    return (await session.exec(statement)).one_or_none()


async def list_collections(
    session: AsyncSession, tenant_id: uuid.UUID, after: str | None, limit: int
) -> Sequence[Found]:
    """By name."""
    statement = WITH_MODELS.where(col(Collection.tenant_id) == tenant_id).order_by(col(Collection.name)).limit(limit)
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


async def hold_models(session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID) -> Row[Any] | None:
    """Until commit nobody changes whose vectors the collection's passages have; answers whose they are."""
    await (await session.connection()).execute(SHARE_MODELS, {"collection_id": collection_id})
    second = func.coalesce(col(Collection.next_model_id), col(Collection.previous_model_id)).label("second_model_id")
    found = await session.exec(
        select(col(Collection.model_id), second).where(
            col(Collection.tenant_id) == tenant_id, col(Collection.id) == collection_id
        )
    )
    row: Row[Any] | None = found.one_or_none()  # type: ignore[assignment]  # a row is a tuple with names
    return row


async def lock_models(session: AsyncSession, collection_id: uuid.UUID) -> None:
    """Until commit nobody stores passages. What is read afterwards is all that was stored before."""
    await (await session.connection()).execute(LOCK_MODELS, {"collection_id": collection_id})


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
