from litestar import Router, get
from litestar.di import NamedDependency

from ragstore.doctor.schemas import ServiceReport
from ragstore.doctor.service import DoctorService
from ragstore.tenant.guard import ADMIN


@get("/", opt=ADMIN)
async def report_on_service(doctor_service: NamedDependency[DoctorService]) -> ServiceReport:
    """Versions, schema, jobs, vacuum and waiting text statistics: what `ragstore doctor` reads. Of what is shared with
    other tenants there are counts only.
    """
    return await doctor_service.report()


router = Router("/doctor", route_handlers=[report_on_service], tags=["health"])
