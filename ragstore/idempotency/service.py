"""A write that is sent twice happens once: its answer is stored in the transaction of its effect, and given again."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import structlog

from ragstore.database import AsyncSession, TenantDatabase
from ragstore.errors import Conflict, FieldError, IdempotencyInFlight, IdempotencyMismatch, RagstoreError
from ragstore.idempotency import queries
from ragstore.idempotency.queries import Claim

Value = TypeVar("Value")
HEADER = "Idempotency-Key"
SECONDS_TO_COME_BACK = 1.0
LEASE = 60.0  # seconds after which the key of a request whose process died is free

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Replay:
    """An answer given before."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Recorder:
    """Without a claim it records nothing: the request had no `Idempotency-Key`."""

    database: TenantDatabase | None = None
    claim: Claim | None = None
    status: int = 200

    async def answer(
        self, session: AsyncSession, value: Value, *, status: int | None = None, stored: object = None
    ) -> Value:
        """Store `value` (or `stored` in its place) as this request's answer, with the effect that `session` commits.

        Raises Conflict when another request took the key over meanwhile: this one's effect is then rolled back.
        """
        if self.claim is not None:
            body = b"" if value is None else msgspec.json.encode(value if stored is None else stored)
            if not await queries.store_answer(session, self.claim, status or self.status, body):
                raise Conflict("Another request with this Idempotency-Key took over; try again.", retry_after=1)
        return value

    async def keep(self) -> None:
        """Renew the claim, again and again, until it is over; holds no connection meanwhile. It is cancelled with its
        request, and would end by itself: there is nothing to renew once the answer is stored or the key taken over.
        """
        if self.claim is None or self.database is None:
            return
        while True:
            await asyncio.sleep(LEASE / 3)
            try:
                async with self.database.transaction() as session:
                    if not await queries.renew_claim(session, self.claim, LEASE):
                        return
            except RagstoreError as error:  # the next one may come in time
                log.warning("the claim of an Idempotency-Key was not renewed", error=error.slug)

    async def release(self) -> None:
        """The request failed and had no effect."""
        if self.claim is not None and self.database is not None:
            async with self.database.transaction() as session:
                await queries.drop_claim(session, self.claim)


async def start_recording(
    database: TenantDatabase, api_key_id: uuid.UUID, key: str, fingerprint: bytes, status: int
) -> Recorder | Replay:
    """Claims the key, or finds the answer that was given. Raises IdempotencyInFlight while the first request runs and
    IdempotencyMismatch when the key came with another request before.
    """
    claim = Claim(database.tenant_id, api_key_id, key, fingerprint, uuid.uuid4())
    async with database.transaction() as session:
        if await queries.take_claim(session, claim, LEASE):
            return Recorder(database, claim, status)
        record = await queries.find_record(session, claim)
    if record is not None and record.fingerprint != fingerprint:
        raise IdempotencyMismatch(errors=(FieldError(HEADER, "was used for another request"),))
    if record is None or record.state == "running":
        raise IdempotencyInFlight(retry_after=SECONDS_TO_COME_BACK)
    return Replay(record.status or status, record.body or b"")
