"""A change of a collection's embedding model as its tenant starts, watches, ends or undoes it."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from ragstore.collection.models import REEMBED, request_reembedding
from ragstore.collection.queries import ensure_model, update_collection
from ragstore.collection.service import CollectionHandle, CollectionService
from ragstore.database import AsyncSession, TenantDatabase
from ragstore.embedding.codes import CODE_VERSION
from ragstore.embedding.registry import EmbedderRegistry
from ragstore.errors import Conflict, FieldError, NotFound, ProviderFailed, Unprocessable
from ragstore.fields import check_text
from ragstore.idempotency.service import Recorder
from ragstore.job.schemas import ENDED, JobRead
from ragstore.job.service import JobService
from ragstore.reembedding import queries
from ragstore.reembedding.changes import LACKING, Change, open_change
from ragstore.reembedding.schemas import Overlap, ReembedRead, ReembedStart
from ragstore.reembedding.tables import Reembedding

LONGEST_MODEL = 200  # bytes
LONGEST_QUERY = 8192
TRIAL = "A text to try the model with."
CONSIDERED_FILLED = ("ready", "switched")


@dataclass(frozen=True)
class ReembeddingService:
    """Raises NotFound for a collection the tenant does not have, Conflict for a step that cannot be taken now."""

    database: TenantDatabase
    embedders: EmbedderRegistry
    recorder: Recorder
    grace: float

    async def start(self, collection: str, wanted: ReembedStart) -> ReembedRead:
        """Again with the same model: changes how it goes on, and takes up what failed or was cancelled. Raises
        Unprocessable for a model that cannot be used, and what its provider raises when it does not answer.
        """
        refuse_faults(wanted)
        async with self.database.transaction() as session:
            change, _ = await self._open(session, collection, lock=False)
            model_id = check_start(change, await queries.list_models(session, self.database.tenant_id), wanted.model)
        if model_id is None:
            await self._try_model(wanted.model)
        async with self.database.transaction() as session:
            change, handle = await self._open(session, collection)
            names = await queries.list_models(session, self.database.tenant_id)
            await self._begin(change, check_start(change, names, wanted.model), wanted)
            return await self._answer(session, handle)

    async def read(self, collection: str) -> ReembedRead:
        async with self.database.transaction() as session:
            change, _ = await self._open(session, collection, lock=False)
            return await self._describe(change)

    async def give_up(self, collection: str) -> ReembedRead:
        """Before the switch: the new vectors are dropped, and searches go on as they were."""
        async with self.database.transaction() as session:
            change, _ = await self._open(session, collection, lock=False)
            row = change.expect("filling", "ready")
            await self._cancel_job(session, row)  # before its collection is locked, as the job itself does
            change, handle = await self._open(session, collection)
            await change.give_up()
            return await self._answer(session, handle)

    async def switch(self, collection: str) -> ReembedRead:
        """Searches that begin when this is answered use the new model. Raises Conflict while vectors are missing."""
        return await self._turn(collection, ("filling", "ready"))

    async def roll_back(self, collection: str) -> ReembedRead:
        """Searches use the old model again. The new one's vectors are kept in step, for another `switch`."""
        return await self._turn(collection, ("switched",))

    async def finish(self, collection: str) -> ReembedRead:
        async with self.database.transaction() as session:
            change, handle = await self._open(session, collection)
            await change.finish(self.grace)
            return await self._answer(session, handle)

    async def _turn(self, collection: str, states: tuple[str, ...]) -> ReembedRead:
        async with self.database.transaction() as session:
            change, handle = await self._open(session, collection)
            change.expect(*states)
            if await change.is_complete():
                await (change.roll_back() if states == ("switched",) else change.switch(self.grace))
                return await self._answer(session, handle)
            await request_reembedding(session, self.database.tenant_id, handle.id)
        raise Conflict(LACKING, retry_after=5)

    async def _begin(self, change: Change, model_id: int | None, wanted: ReembedStart) -> None:
        """Without an id it is a new change, else the one that is under way."""
        session, tenant_id, collection = change.session, change.tenant_id, change.collection
        chosen = {"switch": wanted.switch, "keep_old": wanted.keep_old, "queries": wanted.queries}
        if model_id is None:
            model_id = await ensure_model(session, tenant_id, wanted.model, CODE_VERSION)
            await update_collection(session, tenant_id, collection.id, {"next_model_id": model_id})
            models = {"model_from": collection.model_id, "model_to": model_id}
            key = {"tenant_id": tenant_id, "collection_id": collection.id}
            await queries.save(session, {**key, **models, "state": "filling", **chosen})
        else:
            await queries.change(session, tenant_id, collection.id, **chosen)
        job = await self._find_job(session, change.row) if change.row else None
        if job is None or job.ended or job.kind != REEMBED:  # it may still be dropping what was given up
            job_id = await request_reembedding(session, tenant_id, collection.id)
            await queries.change(session, tenant_id, collection.id, job_id=job_id)

    async def _try_model(self, model: str) -> None:
        try:
            await self.embedders.get(model).embed_query(TRIAL)
        except (Unprocessable, ProviderFailed) as error:
            raise Unprocessable(error.detail, errors=(FieldError("model", "cannot be used here"),)) from error

    async def _open(
        self, session: AsyncSession, collection: str, *, lock: bool = True
    ) -> tuple[Change, CollectionHandle]:
        """With `lock` nobody stores passages or changes models until commit."""
        tenant_id = self.database.tenant_id
        handle = await CollectionService(session, tenant_id).open(collection)
        if lock:
            change = await open_change(session, tenant_id, handle.id)
        else:
            row = await queries.find_collection(session, tenant_id, handle.id)
            found = await queries.find(session, tenant_id, handle.id)
            change = Change(session, tenant_id, row, found) if row else None
        if change is None:
            raise NotFound(f"There is no collection named {collection!r}.")
        return change, handle

    async def _answer(self, session: AsyncSession, handle: CollectionHandle) -> ReembedRead:
        change, _ = await self._open(session, handle.name, lock=False)
        return await self.recorder.answer(session, await self._describe(change))

    async def _cancel_job(self, session: AsyncSession, row: Reembedding) -> None:
        job = await self._find_job(session, row)
        if job is not None and not job.ended:
            try:
                await JobService(session, self.database.tenant_id).cancel(job.id)
            except Conflict:  # it has just ended
                return

    async def _find_job(self, session: AsyncSession, row: Reembedding) -> JobRead | None:
        """Jobs that ended long ago are swept."""
        try:
            return await JobService(session, self.database.tenant_id).read(row.job_id or uuid.UUID(int=0))
        except NotFound:
            return None

    async def _describe(self, change: Change) -> ReembedRead:
        if change.row is None:
            return ReembedRead("none")
        names = await queries.list_models(change.session, change.tenant_id)
        return describe(
            change.row, names, change.collection.chunk_count, await self._find_job(change.session, change.row)
        )


def check_start(change: Change, names: dict[int, str], model: str) -> int | None:
    """The model's number when its change is under way already. Raises Conflict during a change to another."""
    row = change.row
    if names[change.collection.model_id] == model:
        raise Unprocessable(
            f"The collection has the model {model!r} already.", errors=(FieldError("model", "is the present one"),)
        )
    if row is None or row.state == "dropping":
        return None
    if row.state == "switched":
        raise Conflict("The old model's vectors are still there: `finish` or `rollback` first.")
    if names[row.model_to] != model:
        raise Conflict(f"The collection is being changed to {names[row.model_to]!r}: give that up, or wait for it.")
    return row.model_to


def refuse_faults(wanted: ReembedStart) -> None:
    faults = [*check_text("model", wanted.model, longest=LONGEST_MODEL)]
    if not wanted.model.strip():
        faults.append(FieldError("model", "must not be empty"))
    for place, text in enumerate(wanted.queries):
        faults += check_text(f"queries[{place}]", text, longest=LONGEST_QUERY)
        if not text.strip():
            faults.append(FieldError(f"queries[{place}]", "must not be empty"))
    if faults:
        raise Unprocessable("The change of the model is not valid.", errors=tuple(faults))


def describe(row: Reembedding, names: dict[int, str], chunks: int, job: JobRead | None) -> ReembedRead:
    state, switch = row.state, row.switch
    read = ReembedRead(
        state=state,  # type: ignore[arg-type]  # the table has a check
        model_from=names[row.model_from],
        model_to=names[row.model_to],
        switch=switch,  # type: ignore[arg-type]  # as above
        keep_old=row.keep_old,
        overlap=msgspec.convert(row.overlap, Overlap) if row.overlap else None,
        job=job,
        started_at=row.started_at,
        switched_at=row.switched_at,
    )
    if state == "dropping":
        return read
    counts: dict[str, Any] = job.counts if job else {}
    read.done, read.total = counts.get("done", 0), max(counts.get("total", 0), chunks)
    if state in CONSIDERED_FILLED or row.overlap is not None:
        read.done = read.total = chunks
    read.progress = round(read.done / read.total, 4) if read.total else 1.0
    if job is not None and job.state not in ENDED and 0 < read.done < read.total:
        seconds = (datetime.now(UTC) - row.started_at).total_seconds()
        read.eta = round(seconds * (read.total - read.done) / read.done, 1)
    return read
