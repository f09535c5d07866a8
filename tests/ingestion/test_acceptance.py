"""Documents that are answered 202 and stored by a job."""

from typing import Any

import httpx
import pytest

from ragstore.app import create_app
from tests.builders import make_collection, paths_of, problem_of, search
from tests.conftest import make_settings, running
from tests.ingestion.kit import DOCUMENTS, Workplace, number
from tests.job.kit import Queue, wait_until


@pytest.mark.parametrize(
    ("documents", "wait", "status"),
    [
        (number(100), None, 200),
        (number(101), None, 202),
        (number(101), True, 200),
        (number(1), False, 202),
        ([{"content": "word " * 220_000}], None, 202),
    ],
)
async def test_many_documents_are_accepted_unless_the_request_says_otherwise(
    client: httpx.AsyncClient, documents: list[dict[str, Any]], wait: bool | None, status: int
) -> None:
    await make_collection(client)
    params = {} if wait is None else {"wait": wait}
    answer = await client.post(DOCUMENTS, json={"documents": documents}, params=params)
    assert answer.status_code == status
    body = answer.json()
    assert len(body["results"]) == len(documents)
    assert {one["status"] for one in body["results"]} == {"created" if status == 200 else "accepted"}
    if status == 200:
        assert (body["job"], answer.headers.get("location")) == (None, None)
    else:
        assert answer.headers["location"] == f"/v1/jobs/{body['job']['id']}"
        assert (await client.get(answer.headers["location"])).json()["kind"] == "ingest"


async def test_what_was_accepted_becomes_searchable_and_leaves_nothing_behind(
    client: httpx.AsyncClient, queue: Queue
) -> None:
    await make_collection(client)
    documents = [*number(120), {"key": "bad", "content": " "}, {"content": "A whale has no key."}]
    accepted = (await client.post(DOCUMENTS, json={"documents": documents})).json()
    results = accepted["results"]
    assert [one["status"] for one in results] == ["accepted"] * 120 + ["failed", "accepted"]
    assert results[120]["error"]["errors"][0]["path"] == "documents[120].content"
    assert results[0] == {"key": "0", "id": None, "status": "accepted", "version": None, "chunks": None, "error": None}

    async def ended() -> bool:
        return bool((await client.get(f"/v1/jobs/{accepted['job']['id']}")).json()["finished_at"])

    await wait_until(ended)
    job = (await client.get(f"/v1/jobs/{accepted['job']['id']}")).json()
    assert (job["state"], job["progress"], job["eta_seconds"], job["attempts"]) == ("succeeded", 1.0, None, 1)
    assert job["counts"] == {"done": 121, "total": 121, "failures": 0, "chunks": 121}
    assert job["result"] == {
        "created": 121, "updated": 0, "unchanged": 0, "superseded": 0, "failed": 0, "chunks": 121, "failures": [],
    }  # fmt: skip
    assert (await search(client, query="whale", mode="text"))[0]["content"] == "A whale has no key."
    for table in ("file", "accepted_key"):
        assert await queue.ask(f"SELECT * FROM {table}") == []  # two names


async def test_what_cannot_be_accepted_leaves_no_job_and_no_file(workplace: Workplace) -> None:
    client = workplace.client
    bad = await client.post(DOCUMENTS, json={"documents": [{"content": ""}]}, params={"wait": False})
    assert paths_of(problem_of(bad, 422, "invalid-document")) == ["documents[0].content"]
    missing = await client.post(
        "/v1/collections/none/documents", json={"documents": [{"content": "x"}]}, params={"wait": False}
    )
    problem_of(missing, 404, "not-found")
    odd = await client.post(DOCUMENTS, json={"documents": [{"content": "x"}]}, params={"wait": "perhaps"})
    problem_of(odd, 400, "invalid-request")
    assert [await workplace.count(table) for table in ("job", "file", "accepted_key")] == [0, 0, 0]


async def test_the_same_request_again_is_answered_202_again_and_is_one_job(workplace: Workplace) -> None:
    async def post() -> httpx.Response:
        headers, body = {"Idempotency-Key": "once"}, {"documents": [{"content": "without a key"}]}
        return await workplace.client.post(DOCUMENTS, json=body, params={"wait": False}, headers=headers)

    first, again = await post(), await post()
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert await workplace.count("job") == 1


async def test_a_restart_between_acceptance_and_work_loses_nothing(workplace: Workplace) -> None:
    accepted = await workplace.accept(*number(3))
    settings = make_settings(workplace.queue.url)
    embedders = workplace.handler.embedders  # the provider is still the same
    async with running(create_app(settings, embedders=embedders)) as client:  # this one runs jobs

        async def stored() -> bool:
            return bool((await client.get(f"/v1/jobs/{accepted['job']['id']}")).json()["state"] == "succeeded")

        await wait_until(stored)
        assert (await client.get("/v1/collections/docs")).json()["document_count"] == 3


async def test_a_document_without_a_key_gets_one_that_finds_it(workplace: Workplace) -> None:
    documents = [{"content": "about trains"}, {"content": "about cats"}]
    response = await workplace.client.post(f"{DOCUMENTS}?wait=false", json={"documents": documents})
    keys = [one["key"] for one in response.json()["results"]]
    assert len(set(keys)) == 2
    assert None not in keys


async def test_a_chunking_rule_that_cannot_be_is_not_accepted(workplace: Workplace) -> None:
    body = {"documents": [{"content": "about trains"}], "chunking": {"size": 64, "overlap": 64}}
    response = await workplace.client.post(f"{DOCUMENTS}?wait=false", json=body)
    assert paths_of(problem_of(response, 422, "unprocessable")) == ["chunking.overlap"]
