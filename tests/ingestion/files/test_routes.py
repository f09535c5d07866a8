"""Uploads over HTTP: what becomes of good files, bad ones, and those that were here before."""

import asyncio
import uuid

import httpx
import pytest
from litestar import Litestar

from ragstore.app import create_app
from tests.builders import make_collection, paths_of, problem_of, search
from tests.conftest import make_settings, running
from tests.ingestion.files.kit import FILES, read_document, upload, upload_one
from tests.parsing.samples import make_docx, make_encrypted_pdf, make_paragraph, make_pdf

TWO_PAGES = make_pdf([[(24, "Rivers"), (11, "The Danube is long.")], [(24, "Hills"), (11, "The Alps are high.")]])


@pytest.fixture
async def docs(client: httpx.AsyncClient) -> httpx.AsyncClient:
    await make_collection(client)
    return client


async def test_a_file_becomes_a_document_that_is_found(docs: httpx.AsyncClient) -> None:
    result = await upload_one(docs, "rivers.pdf", TWO_PAGES, source="library", metadata='{"year": 2020}')
    assert (result["status"], result["key"], result["version"]) == ("created", "rivers.pdf", 1)
    document = await read_document(docs, result["id"])
    assert document["title"] == "rivers"
    assert (document["source"], document["metadata"]) == ("library", {"year": 2020})
    assert "The Danube is long." in document["content"]
    assert (await search(docs, query="how high are the Alps", filter={"year": 2020}))[0]["document_key"] == "rivers.pdf"


async def test_the_file_can_be_read_and_downloaded_as_it_came(docs: httpx.AsyncClient) -> None:
    result = await upload_one(docs, "Flüsse.pdf", make_pdf([[(12, "words")]], title="Big rivers"))
    read = (await docs.get(f"/v1/files/{result['file_id']}")).json()
    assert (read["name"], read["media_type"]) == ("Flüsse.pdf", "application/pdf")
    assert read["metadata"]["authors"] == ["Ada"]
    got = await docs.get(f"/v1/files/{result['file_id']}/content")
    assert got.content == make_pdf([[(12, "words")]], title="Big rivers")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"].startswith('attachment; filename="Fl_sse.pdf"; filename*=UTF-8')
    assert got.headers["content-type"] == "application/pdf"
    problem_of(await docs.get(f"/v1/files/{uuid.uuid4()}"), 404, "not-found")


async def test_a_page_is_downloaded_as_bytes_not_shown(docs: httpx.AsyncClient) -> None:
    result = await upload_one(
        docs, "page.html", b"<html><body><h1>Hi</h1><script>alert(1)</script><p>words</p></body></html>"
    )
    got = await docs.get(f"/v1/files/{result['file_id']}/content")
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-security-policy"] == "default-src 'none'; sandbox"


async def test_several_files_are_answered_one_by_one(docs: httpx.AsyncClient) -> None:
    response = await upload(
        docs, ("a.txt", b"alpha"), ("b.pdf", make_encrypted_pdf()), ("c.docx", make_docx(make_paragraph("gamma")))
    )
    assert response.status_code == 200, response.text
    results = response.json()["results"]
    assert [(one["key"], one["status"]) for one in results] == [
        ("a.txt", "created"),
        ("b.pdf", "failed"),
        ("c.docx", "created"),
    ]
    assert results[1]["error"]["type"] == "urn:ragstore:error:file-encrypted"
    job = (await docs.get(f"/v1/jobs/{results[1]['job']}")).json()
    assert (job["state"], job["attempts"]) == ("failed", 1)


@pytest.mark.parametrize(
    ("name", "content", "slug"),
    [
        ("a.pdf", make_encrypted_pdf(), "file-encrypted"),
        ("a.pdf", TWO_PAGES[:300], "file-damaged"),
        ("a.txt", b" \n", "file-empty"),
        ("a.pdf", make_pdf([[]]), "file-without-text"),
        ("a.bin", bytes(range(256)), "file-unsupported"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_with_its_own_type(
    docs: httpx.AsyncClient, name: str, content: bytes, slug: str
) -> None:
    problem = problem_of(await upload(docs, (name, content)), 422, slug)
    assert paths_of(problem) == ["file[0]"]
    assert (await docs.get("/v1/collections/docs/documents")).json()["items"] == []


async def test_what_stood_there_stays_when_its_new_version_cannot_be_read(docs: httpx.AsyncClient) -> None:
    before = await upload_one(docs, "a.txt", b"the old words")
    problem_of(await upload(docs, ("a.txt", make_encrypted_pdf())), 422, "file-encrypted")
    document = await read_document(docs, before["id"])
    assert (document["content"], document["version"]) == ("the old words", 1)


async def test_without_waiting_a_job_is_named(docs: httpx.AsyncClient) -> None:
    response = await upload(docs, ("a.txt", b"words"), wait=False)
    assert response.status_code == 202
    result = response.json()["results"][0]
    assert (result["status"], result["id"]) == ("accepted", None)
    for _ in range(200):
        job = (await docs.get(f"/v1/jobs/{result['job']}")).json()
        if job["state"] == "succeeded":
            break
        await asyncio.sleep(0.05)
    assert job["result"]["status"] == "created"
    assert (await read_document(docs, job["result"]["id"]))["content"] == "words"


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\files\\a.txt", "a.txt"),
        ("..", "file"),
        ("%2e%2e%2fa.txt", "%2e%2e%2fa.txt"),
        ("CON", "CON"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ],
)
async def test_a_name_is_a_label(docs: httpx.AsyncClient, given: str, key: str) -> None:
    response = await docs.post(FILES, files=[("file", (given, b"words"))])
    assert response.status_code == 200, response.text
    assert response.json()["results"][0]["key"] == key


async def test_bad_requests_name_the_field(docs: httpx.AsyncClient) -> None:
    part = ("file", ("a.txt", b"words"))
    bad: list[tuple[list[tuple[str, object]], dict[str, str], int, str, str]] = [
        ([], {"key": "a"}, 415, "unsupported-media-type", ""),
        ([("other", ("a.txt", b"words"))], {}, 400, "invalid-request", "other"),
        ([part, part], {}, 400, "invalid-request", "file[1]"),
        ([part, ("file", ("b.txt", b"words"))], {"key": "a"}, 400, "invalid-request", "key"),
        ([part], {"titel": "a"}, 400, "invalid-request", "titel"),
        ([part], {"metadata": "[1]"}, 400, "invalid-request", "metadata"),
        ([part], {"metadata": "{"}, 400, "invalid-request", "metadata"),
        ([part], {"chunking": '{"size": 1}'}, 400, "invalid-request", "chunking.size"),
        ([part], {"chunking": '{"overlap": 600}'}, 422, "unprocessable", "chunking.overlap"),
        ([part], {"key": "k" * 2000}, 422, "invalid-document", "key"),
    ]
    for files, data, status, slug, path in bad:
        problem = problem_of(await docs.post(FILES, files=files, data=data), status, slug)  # type: ignore[arg-type]
        assert paths_of(problem) == ([path] if path else []), (data, problem)
    broken = await docs.post(FILES, content=b"x", headers={"Content-Type": "multipart/form-data"})
    problem_of(broken, 400, "invalid-request")
    missing = await docs.post("/v1/collections/other/files", files=[part])
    problem_of(missing, 404, "not-found")


async def test_more_than_the_limit_is_refused(database_url: str) -> None:
    app = create_app(make_settings(database_url, max_file_bytes=100_000, max_body_bytes=2000))
    async with running(app) as client:
        await make_collection(client)
        assert (await upload(client, ("a.txt", b"word " * 15_000), wait=False)).status_code == 202
        problem_of(await upload(client, ("a.txt", b"word " * 300_000)), 413, "body-too-large")


async def test_the_same_upload_again_is_unchanged_and_not_read(docs: httpx.AsyncClient) -> None:
    fields = {"title": "T", "metadata": '{"a": 1}'}
    first = await upload_one(docs, "a.pdf", TWO_PAGES, **fields)
    jobs = len((await docs.get("/v1/jobs?kind=file")).json()["items"])
    again = await upload_one(docs, "a.pdf", TWO_PAGES, **fields)
    same = ("id", "version", "chunks", "file_id")
    assert (again["status"], again["job"]) == ("unchanged", None)
    assert [again[name] for name in same] == [first[name] for name in same]
    assert len((await docs.get("/v1/jobs?kind=file")).json()["items"]) == jobs


@pytest.mark.parametrize(
    "change", [{"title": "U"}, {"metadata": '{"a": 2}'}, {"chunking": '{"size": 64, "overlap": 8}'}]
)
async def test_other_fields_are_another_wish(docs: httpx.AsyncClient, change: dict[str, str]) -> None:
    fields = {"title": "T", "metadata": '{"a": 1}'}
    first = await upload_one(docs, "a.txt", b"words", **fields)
    again = await upload_one(docs, "a.txt", b"words", **fields | change)
    assert (again["job"], again["id"]) != (None, first["id"])
    assert (await upload_one(docs, "a.txt", b"words", **fields | change))["status"] == "unchanged"


async def test_a_file_goes_when_another_has_taken_its_place(docs: httpx.AsyncClient) -> None:
    first = await upload_one(docs, "a.txt", b"words")
    second = await upload_one(docs, "a.txt", b"other words")
    assert (second["status"], second["version"]) == ("updated", 2)
    problem_of(await docs.get(f"/v1/files/{first['file_id']}"), 404, "not-found")
    assert (await read_document(docs, second["id"]))["file_id"] == second["file_id"]


async def test_a_document_changed_since_is_put_right(docs: httpx.AsyncClient) -> None:
    first = await upload_one(docs, "a.txt", b"words", source="s")
    address = f"/v1/collections/docs/documents/{first['id']}"
    assert (await docs.patch(address, json={"source": "elsewhere"})).status_code == 200
    assert (await upload_one(docs, "a.txt", b"words", source="s"))["status"] == "updated"
    assert (await read_document(docs, first["id"]))["source"] == "s"


async def test_a_retry_of_the_same_upload_is_answered_without_happening(docs: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "a"}
    answers = [await docs.post(FILES, files=[("file", ("a.txt", b"words"))], headers=headers) for _ in range(2)]
    assert answers[0].json()["results"][0]["job"] == answers[1].json()["results"][0]["job"]
    assert answers[1].headers["idempotent-replayed"] == "true"
    other = await docs.post(FILES, files=[("file", ("a.txt", b"other"))], headers=headers)
    problem_of(other, 422, "idempotency-mismatch")


async def test_a_stranger_sees_no_file(docs: httpx.AsyncClient, stranger_key: str) -> None:
    result = await upload_one(docs, "a.txt", b"words")
    stranger = {"Authorization": f"Bearer {stranger_key}"}
    for address in (f"/v1/files/{result['file_id']}", f"/v1/files/{result['file_id']}/content"):
        problem_of(await docs.get(address, headers=stranger), 404, "not-found")


async def test_jobs_are_left_to_workers_where_the_service_runs_none(database_url: str) -> None:
    app: Litestar = create_app(make_settings(database_url, run_jobs=False))
    async with running(app) as client:
        await make_collection(client)
        result = (await upload(client, ("a.txt", b"words"), wait=False)).json()["results"][0]
        assert (await client.get(f"/v1/jobs/{result['job']}")).json()["state"] == "queued"
        assert app.state.ragstore.parser.idle == []


async def test_passages_say_their_page_and_heading(docs: httpx.AsyncClient) -> None:
    chunking = '{"strategy": "markdown", "size": 16, "overlap": 0}'
    result = await upload_one(docs, "rivers.pdf", TWO_PAGES, chunking=chunking)
    chunks = (await docs.get(f"/v1/collections/docs/documents/{result['id']}/chunks")).json()["items"]
    told = {one["metadata"]["page"]: one for one in chunks}
    assert "Danube" in told[1]["content"]
    assert "Alps" in told[2]["content"]
    assert told[2]["metadata"]["heading"] == "Hills"
    hits = (await docs.post("/v1/collections/docs/search", json={"query": "Alps"})).json()["hits"]
    assert (hits[0]["metadata"]["page"], hits[0]["metadata"]["heading"]) == (2, "Hills")


async def test_of_two_uploads_of_one_key_the_later_one_stays(docs: httpx.AsyncClient) -> None:
    """However their jobs are run."""
    first = (await upload(docs, ("a.txt", b"the first"), wait=False)).json()["results"][0]
    await docs.post("/v1/collections/docs/documents", json={"documents": [{"key": "a.txt", "content": "the second"}]})
    for _ in range(300):
        job = (await docs.get(f"/v1/jobs/{first['job']}")).json()
        if job["state"] not in ("queued", "running"):
            break
        await asyncio.sleep(0.1)
    assert job["state"] in ("cancelled", "succeeded"), job
    listed = (await docs.get("/v1/collections/docs/documents", params={"key": "a.txt"})).json()["items"]
    document = await read_document(docs, listed[0]["id"])
    assert document["content"] == "the second"
