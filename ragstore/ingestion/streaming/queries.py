import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, text, update
from sqlmodel import col, select

from ragstore.database import AsyncSession
from ragstore.ingestion.streaming.tables import ImportPosition

# A request that stores nothing for so long is taken for dead, whatever became of its process.
SILENCE = "20 seconds"

TAKE = text(f"""
    INSERT INTO import_position AS p (tenant_id, collection_id, name, digest, claim)
    VALUES (:tenant_id, :collection_id, :name, :digest, :claim)
    ON CONFLICT (tenant_id, collection_id, name) DO UPDATE SET claim = excluded.claim, updated_at = now()
        WHERE p.claim IS NULL OR p.updated_at < now() - interval '{SILENCE}'
    RETURNING p.lines, p.created, p.updated, p.unchanged, p.failed, p.chunks, p.digest
""")  # noqa: S608  # a constant of this file


@dataclass(frozen=True)
class Claim:
    """One request's hold on the position of a named import."""

    tenant_id: uuid.UUID
    collection_id: uuid.UUID
    name: str
    claim: uuid.UUID


async def take_position(session: AsyncSession, wanted: Claim, digest: bytes) -> Any | None:
    """The position, from now on only this request's to change; made with `digest` if there is none. None while
    another request imports under the name.
    """
    connection = await session.connection()
    return (await connection.execute(TAKE, vars(wanted) | {"digest": digest})).one_or_none()


async def advance(session: AsyncSession, held: Claim, values: dict[str, Any]) -> bool:
    """With the documents, in their transaction. False when another request has taken the position over."""
    done = await session.exec(update(ImportPosition).where(*is_held(held)).values(**values, updated_at=func.now()))
    return done.rowcount == 1


async def let_go(session: AsyncSession, held: Claim) -> None:
    await session.exec(update(ImportPosition).where(*is_held(held)).values(claim=None))


def is_held(held: Claim) -> tuple[Any, ...]:
    return (
        col(ImportPosition.tenant_id) == held.tenant_id,
        col(ImportPosition.collection_id) == held.collection_id,
        col(ImportPosition.name) == held.name,
        col(ImportPosition.claim) == held.claim,
    )


async def find_position(
    session: AsyncSession, tenant_id: uuid.UUID, collection_id: uuid.UUID, name: str
) -> ImportPosition | None:
    statement = select(ImportPosition).where(
        col(ImportPosition.tenant_id) == tenant_id,
        col(ImportPosition.collection_id) == collection_id,
        col(ImportPosition.name) == name,
    )
    return (await session.exec(statement)).one_or_none()
