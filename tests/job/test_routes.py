import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ragstore.client.location import SERVER_FILE
from tests.builders import problem_of
from tests.cli.processes import start, wait_for_service
from tests.conftest import ADMIN_KEY
from tests.job.kit import Queue

NOBODY_RUNS = "unknown to every worker"


async def test_jobs_are_listed_newest_first_by_state_and_kind(client: httpx.AsyncClient, queue: Queue) -> None:
    ids = [str(await queue.add(NOBODY_RUNS)) for _ in range(3)]
    other = str(await queue.add("another kind"))
    await client.post(f"/v1/jobs/{ids[0]}/cancel")
    page = (await client.get("/v1/jobs", params={"kind": NOBODY_RUNS, "limit": 2})).json()
    assert [one["id"] for one in page["items"]] == [ids[2], ids[1]]
    rest = await client.get("/v1/jobs", params={"kind": NOBODY_RUNS, "limit": 2, "cursor": page["next_cursor"]})
    assert [one["id"] for one in rest.json()["items"]] == [ids[0]]
    assert rest.json()["next_cursor"] is None
    queued = (await client.get("/v1/jobs?state=queued")).json()["items"]
    assert [one["id"] for one in queued] == [other, ids[2], ids[1]]
    problem_of(await client.get("/v1/jobs?state=wrong"), 400, "invalid-request")
    problem_of(await client.get("/v1/jobs?cursor=wrong"), 400, "invalid-cursor")


async def test_a_job_is_read_cancelled_and_tried_again(client: httpx.AsyncClient, queue: Queue) -> None:
    job_id = await queue.add(NOBODY_RUNS, {"secret": "kept to itself"})
    read = await client.get(f"/v1/jobs/{job_id}")
    assert read.status_code == 200
    assert "secret" not in read.text
    assert (read.json()["state"], read.json()["counts"], read.json()["attempts"]) == ("queued", {}, 0)
    problem_of(await client.post(f"/v1/jobs/{job_id}/retry"), 409, "conflict")
    cancelled = await client.post(f"/v1/jobs/{job_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    again = await client.post(f"/v1/jobs/{job_id}/retry")
    assert (again.status_code, again.json()["state"]) == (200, "queued")
    await queue.ask("UPDATE job SET state = 'succeeded', finished_at = now() WHERE id = :id", id=job_id)
    problem_of(await client.post(f"/v1/jobs/{job_id}/cancel"), 409, "conflict")


async def test_a_retried_cancel_is_answered_as_the_first(client: httpx.AsyncClient, queue: Queue) -> None:
    job_id = await queue.add(NOBODY_RUNS)
    headers = {"Idempotency-Key": "cancel-once"}
    first = await client.post(f"/v1/jobs/{job_id}/cancel", headers=headers)
    await client.post(f"/v1/jobs/{job_id}/retry")
    second = await client.post(f"/v1/jobs/{job_id}/cancel", headers=headers)
    assert second.json() == first.json()
    assert (await queue.row(job_id)).state == "queued"


async def test_another_tenants_job_is_not_there(client: httpx.AsyncClient, queue: Queue, stranger_key: str) -> None:
    job_id = await queue.add(NOBODY_RUNS)
    system = (await queue.ask("SELECT id FROM job WHERE tenant_id = '00000000-0000-0000-0000-000000000000'"))[0].id
    stranger = {"Authorization": f"Bearer {stranger_key}"}
    for one, headers in ((job_id, stranger), (system, {}), (system, stranger)):
        problem_of(await client.get(f"/v1/jobs/{one}", headers=headers), 404, "not-found")
        problem_of(await client.get(f"/v1/jobs/{one}/events", headers=headers), 404, "not-found")
        for action in ("cancel", "retry"):
            problem_of(await client.post(f"/v1/jobs/{one}/{action}", headers=headers), 404, "not-found")
    assert (await client.get("/v1/jobs", headers=stranger)).json()["items"] == []
    assert (await queue.row(job_id)).state == "queued"


def read_events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_progress_is_streamed_by_a_real_service(tmp_path: Path) -> None:
    """Until the job has ended; a stream that goes on does not hold up the shutdown, and says goodbye."""
    from tests.job.streams import Bystander  # noqa: PLC0415

    process = start(tmp_path, "serve", "--port", "0", chosen_key=ADMIN_KEY)
    url = wait_for_service(tmp_path, process)
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    with Bystander(tmp_path / "data") as bystander, httpx.Client(base_url=url, headers=headers, trust_env=False) as web:
        first, second = bystander.add("unknown"), bystander.add("unknown")
        with web.stream("GET", f"/v1/jobs/{first}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            events = read_events(stream.iter_lines())
            assert next(events)[1]["state"] == "queued"
            since = "started_at = now() - interval '10 s', updated_at = now()"
            bystander.set(first, f"state = 'running', counts = '{{\"done\": 1, \"total\": 4}}', {since}")
            job = next(events)[1]
            assert job["counts"] == {"done": 1, "total": 4}
            assert (job["progress"], job["eta_seconds"]) == (0.25, 30)
            bystander.set(first, "state = 'succeeded', finished_at = now()")
            assert [(name, job["state"]) for name, job in events] == [("job", "succeeded")]
        seen: list[str] = []

        def watch() -> None:
            with httpx.stream("GET", f"{url}/v1/jobs/{second}/events", headers=headers, trust_env=False) as stream:
                seen.extend(name for name, _ in read_events(stream.iter_lines()))

        watching = threading.Thread(target=watch)
        watching.start()
        time.sleep(0.7)
        asked = time.monotonic()
        process.terminate()
        watching.join(10)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err, seen) == (0, "", ["job", "shutdown"])
    assert time.monotonic() - asked < 8
    assert not (tmp_path / "data" / SERVER_FILE).exists()
