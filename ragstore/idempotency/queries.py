import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Interval, bindparam, delete, func, text, update
from sqlmodel import col, select

from ragstore.database import AsyncSession
from ragstore.idempotency.tables import IdempotencyRecord

KEPT = "24 hours"

CLAIM = text(f"""
    INSERT INTO idempotency_record AS r
        (tenant_id, api_key_id, key, fingerprint, state, claim, lease_until)
    VALUES (:tenant_id, :api_key_id, :key, :fingerprint, 'running', :claim, now() + :lease)
    ON CONFLICT (tenant_id, api_key_id, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, state = 'running', claim = excluded.claim, status = NULL, body = NULL,
            lease_until = excluded.lease_until, created_at = now()
        WHERE r.created_at < now() - interval '{KEPT}'
           OR (r.state = 'running' AND r.lease_until < now() AND r.fingerprint = excluded.fingerprint)
    RETURNING r.claim
""").bindparams(bindparam("lease", type_=Interval))  # noqa: S608  # a constant of this file
MINE = "tenant_id = :tenant_id AND api_key_id = :api_key_id AND key = :key AND claim = :claim AND state = 'running'"
# A row that the handler's own transaction has locked is passed over: its answer is being stored.
RENEW = text(f"""
    WITH free AS MATERIALIZED (
        SELECT 1 FROM idempotency_record WHERE {MINE} FOR UPDATE SKIP LOCKED
    ), renewed AS (
        UPDATE idempotency_record SET lease_until = now() + :lease WHERE {MINE} AND EXISTS (SELECT FROM free)
    )
    SELECT EXISTS (SELECT FROM idempotency_record WHERE {MINE})
""").bindparams(bindparam("lease", type_=Interval))  # noqa: S608  # as above


@dataclass(frozen=True)
class Claim:
    """One request's hold on an idempotency key."""

    tenant_id: uuid.UUID
    api_key_id: uuid.UUID
    key: str
    fingerprint: bytes
    claim: uuid.UUID


async def take_claim(session: AsyncSession, wanted: Claim, lease: float) -> bool:
    """False when the key is in use, or was, within its time."""
    connection = await session.connection()
    taken = await connection.execute(CLAIM, vars(wanted) | {"lease": timedelta(seconds=lease)})
    return taken.scalar_one_or_none() is not None


async def renew_claim(session: AsyncSession, held: Claim, lease: float) -> bool:
    """False when there is nothing to renew any more: the request was answered, or the key has been taken over."""
    given = vars(held) | {"lease": timedelta(seconds=lease)}
    return bool((await (await session.connection()).execute(RENEW, given)).scalar_one())


async def find_record(session: AsyncSession, wanted: Claim) -> IdempotencyRecord | None:
    statement = select(IdempotencyRecord).where(
        col(IdempotencyRecord.tenant_id) == wanted.tenant_id,
        col(IdempotencyRecord.api_key_id) == wanted.api_key_id,
        col(IdempotencyRecord.key) == wanted.key,
    )
    return (await session.exec(statement)).one_or_none()


async def store_answer(session: AsyncSession, held: Claim, status: int, body: bytes) -> bool:
    """With the effect, in its transaction. False when the lease ran out and another request took the key over."""
    done = await session.exec(
        update(IdempotencyRecord)
        .where(
            col(IdempotencyRecord.tenant_id) == held.tenant_id,
            col(IdempotencyRecord.api_key_id) == held.api_key_id,
            col(IdempotencyRecord.key) == held.key,
            col(IdempotencyRecord.claim) == held.claim,
        )
        .values(state="done", status=status, body=body, lease_until=None, created_at=func.now())
    )
    return done.rowcount == 1


async def drop_claim(session: AsyncSession, held: Claim) -> None:
    """Of a request that had no effect: the next try starts anew."""
    await session.exec(
        delete(IdempotencyRecord).where(
            col(IdempotencyRecord.tenant_id) == held.tenant_id,
            col(IdempotencyRecord.api_key_id) == held.api_key_id,
            col(IdempotencyRecord.key) == held.key,
            col(IdempotencyRecord.claim) == held.claim,
            col(IdempotencyRecord.state) == "running",
        )
    )
