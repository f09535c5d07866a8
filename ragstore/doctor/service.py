"""What an operator should know of a running service, and HTTP does not tell elsewhere."""

import uuid
from dataclasses import dataclass

from ragstore.database import AsyncSession, TenantDatabase
from ragstore.doctor import queries
from ragstore.doctor.schemas import DatabaseReport, JobCounts, JobsReport, ServiceReport, VacuumReport
from ragstore.document.tidying import VACUUM
from ragstore.job.service import NOBODY
from ragstore.migrate import latest_revision, read_revision
from ragstore.versions import HOLE, explain_too_old, read_versions


@dataclass(frozen=True)
class DoctorService:
    """Asks twice: as the tenant, and as nobody, whose jobs are the system's. Neither sees a row of another tenant."""

    database: TenantDatabase
    search_candidates: int
    worker_here: bool
    version: str

    async def report(self) -> ServiceReport:
        async with self.database.transaction() as session:
            own, own_waiting = await count_jobs(session, self.database.tenant_id)
            unfolded = await queries.count_unfolded(session, self.database.tenant_id)
        async with self.database.database.transaction(NOBODY) as session:
            system, waiting = await count_jobs(session, NOBODY)
            vacuum = await read_vacuum(session)
            database = await read_database(session)
        return ServiceReport(
            version=self.version,
            database=database,
            jobs=JobsReport(own, system, round(max(waiting, own_waiting, 0.0), 1), self.worker_here),
            vacuum=vacuum,
            search_candidates=self.search_candidates,
            unfolded=unfolded,
        )


async def count_jobs(session: AsyncSession, tenant_id: uuid.UUID) -> tuple[JobCounts, float]:
    row = await queries.count_jobs(session, tenant_id)
    return JobCounts(row.queued, row.running, row.failed), row.waiting


async def read_vacuum(session: AsyncSession) -> VacuumReport:
    row = await queries.read_vacuum(session)
    refused = await queries.was_refused(session, NOBODY, VACUUM)
    return VacuumReport(row.rows, row.untidy, row.vacuumed_at, refused)


async def read_database(session: AsyncSession) -> DatabaseReport:
    connection = await session.connection()
    found = await connection.run_sync(read_versions)
    return DatabaseReport(
        server=found.server,
        pgvector=found.vector,
        embedded=found.embedded,
        too_old=explain_too_old(found),
        hole=HOLE if found.mended else None,
        mended=found.mended,
        revision=await connection.run_sync(read_revision),
        latest_revision=latest_revision(),
    )
