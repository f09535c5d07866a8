"""The calls about background jobs."""

import time
from uuid import UUID

from ragstore.client.faults import RagstoreClientError
from ragstore.client.transport import Transport
from ragstore.job.schemas import JobRead

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class JobCalls:
    transport: Transport

    def read_job(self, job_id: UUID) -> JobRead:
        return self.transport.call(JobRead, "GET", f"/v1/jobs/{job_id}")

    def wait_for_job(self, job_id: UUID, timeout: float = 600) -> JobRead:
        """The job when it has ended, well or not: look at its `state`. Raises RagstoreClientError when it has not in
        `timeout` seconds.
        """
        deadline, pause = time.monotonic() + timeout, FIRST_PAUSE
        while not (job := self.read_job(job_id)).ended:
            if time.monotonic() + pause > deadline:
                raise RagstoreClientError(f"The job {job_id} is still {job.state} after {timeout:g} s.")
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
        return job

    def cancel_job(self, job_id: UUID) -> JobRead:
        return self.transport.call(JobRead, "POST", f"/v1/jobs/{job_id}/cancel")

    def retry_job(self, job_id: UUID) -> JobRead:
        """Puts a failed or cancelled job back into the queue."""
        return self.transport.call(JobRead, "POST", f"/v1/jobs/{job_id}/retry")
