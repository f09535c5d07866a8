"""A job whose provider is busy, away, or does not let us in."""

import pytest

from tests.fake_openai import Fault
from tests.ingestion.kit import Workplace, number

SOON = {"retry-after-ms": "10"}


async def run(workplace: Workplace, state: str, **options: float) -> dict[str, object]:
    accepted = await workplace.accept(*number(2))
    handlers = {"ingest": workplace.handler.run}
    async with workplace.queue.working(handlers=handlers, retry_delay=0.02, **options):
        await workplace.queue.wait_for(accepted["job"]["id"], state, seconds=30)
    return await workplace.read_job(accepted["job"]["id"])


@pytest.mark.parametrize("status", [429, 503])
async def test_a_job_outlives_more_failures_than_it_has_attempts(workplace: Workplace, status: int) -> None:
    workplace.fake.script(*[Fault(status=status, headers=SOON)] * 7)
    job = await run(workplace, "succeeded")
    assert (job["attempts"], job["max_attempts"], job["error"]) == (1, 5, None)
    assert len(workplace.fake.calls) == 8
    assert await workplace.count("document") == 2


async def test_a_job_does_not_wait_for_ever(workplace: Workplace) -> None:
    workplace.fake.script(*[Fault(status=503, headers=SOON)] * 50)
    job = await run(workplace, "failed", outage_patience=0.5)
    assert job["error"]["type"] == "urn:ragstore:error:provider-unavailable"  # type: ignore[index]
    assert len(workplace.fake.calls) > 1
    assert await workplace.count("file") == 1  # it may be tried again


async def test_a_refused_key_fails_at_once_and_can_be_tried_again(workplace: Workplace) -> None:
    workplace.fake.script(Fault(status=401))
    job = await run(workplace, "failed")
    assert (job["attempts"], job["error"]["type"]) == (1, "urn:ragstore:error:provider-refused")  # type: ignore[index]
    assert "sk-test" not in str(job)
    assert len(workplace.fake.calls) == 1
    again = await workplace.client.post(f"/v1/jobs/{job['id']}/retry")
    assert again.status_code == 200
    assert (await workplace.work(await workplace.claim()))["state"] == "succeeded"
