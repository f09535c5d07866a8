"""What the framework, Postgres and we get wrong ends as the same kind of answer."""

import re

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text
from sqlalchemy.engine import make_url

from ragstore.app import create_app
from ragstore.database import Database
from ragstore.logs import configure_logs
from ragstore.settings import Settings
from tests.builders import make_collection, paths_of, problem_of, upsert
from tests.conftest import make_settings, run_on_server, running

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        (b'{"name": "\xff\xfe"}', "invalid-request"),
        (b'{"name": "\\ud800"}', "invalid-request"),
        (b'{"name": ' + b"[" * 10_000, "json-too-deep"),
        (b'{"name": "x", "metadata": {"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}}", "json-too-deep"),
        (b'{"name":', "invalid-request"),
        (b"", "invalid-request"),
        (b"null", "invalid-request"),
        (b"[]", "invalid-request"),
        (b'{"name": NaN}', "invalid-request"),
        (b"\x00", "invalid-request"),
    ],
)
async def test_a_body_that_is_no_json_is_a_400(client: httpx.AsyncClient, body: bytes, slug: str) -> None:
    problem_of(await client.post("/v1/collections", content=body, headers=JSON), 400, slug)


async def test_other_content_types_and_encodings_are_a_415(client: httpx.AsyncClient) -> None:
    for headers in ({"content-type": "text/plain"}, {**JSON, "content-encoding": "gzip"}):
        response = await client.post("/v1/collections", content=b'{"name": "x"}', headers=headers)
        problem_of(response, 415, "unsupported-media-type")


async def test_unknown_addresses_and_methods_are_problems_too(client: httpx.AsyncClient) -> None:
    problem_of(await client.get("/v2/nothing"), 404, "not-found")
    problem_of(await client.put("/v1/collections"), 405, "method-not-allowed")
    problem_of(await client.get("/v1/collections/docs/documents/not-a-uuid"), 404, "not-found")


async def test_a_body_over_the_limit_is_a_413_and_nothing_is_stored(database_url: str) -> None:
    async with running(create_app(make_settings(database_url, max_body_bytes=10_000))) as client:
        await make_collection(client)
        body = {"documents": [{"key": "a", "content": "x" * 20_000}]}
        problem_of(await client.post("/v1/collections/docs/documents", json=body), 413, "body-too-large")
        assert (await client.get("/v1/collections/docs")).json()["document_count"] == 0


@pytest.mark.parametrize(
    ("state", "status", "slug"),
    [
        ("22021", 422, "unprocessable"),
        ("23505", 409, "conflict"),
        ("23503", 404, "not-found"),
        ("25006", 503, "database-unavailable"),
        ("40001", 503, "unavailable"),
        ("40P01", 503, "unavailable"),
        ("53100", 507, "storage-full"),
        ("53200", 503, "unavailable"),
        ("53300", 503, "database-unavailable"),
        ("54000", 422, "unprocessable"),
        ("55P03", 503, "unavailable"),
        ("57014", 504, "timed-out"),
        ("57P01", 503, "database-unavailable"),
        ("08006", 503, "database-unavailable"),
        ("XX001", 500, "internal"),
    ],
)
async def test_what_postgres_says_is_mapped_and_nothing_is_half_written(
    client: httpx.AsyncClient, database: Database, state: str, status: int, slug: str
) -> None:
    await make_collection(client)
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(
            text(
                "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN RAISE EXCEPTION 'secret detail' USING ERRCODE = '{state}'; END $$"
            )
        )
        await connection.execute(
            text("CREATE TRIGGER fail BEFORE INSERT ON embedding FOR EACH ROW EXECUTE FUNCTION fail()")
        )
    body = {"documents": [{"key": "a", "content": "hello"}]}
    response = await client.post("/v1/collections/docs/documents", json=body)
    problem_of(response, status, slug)
    assert "secret" not in response.text
    assert ("retry-after" in response.headers) == (status == 503)
    assert (await client.get("/v1/collections/docs/documents")).json()["items"] == []
    assert (await client.get("/v1/collections/docs")).json()["document_count"] == 0


async def test_an_error_nobody_foresaw_is_a_500_that_tells_nothing(
    client: httpx.AsyncClient, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(app.state.ragstore.embedders, "get", explode)
    response = await client.post("/v1/collections", json={"name": "docs"})
    problem_of(response, 500, "internal")
    assert "secret" not in response.text


async def test_a_full_pool_is_a_503_and_liveness_still_answers(database_url: str) -> None:
    app = create_app(make_settings(database_url, request_pool_timeout=0.2))
    async with running(app) as client:
        assert (await client.get("/v1/collections")).status_code == 200
        async with app.state.ragstore.database.transaction():
            response = await client.get("/v1/collections")
            problem_of(response, 503, "pool-exhausted")
            assert int(response.headers["retry-after"]) >= 1
            assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/v1/collections")).status_code == 200


async def test_a_database_that_is_gone_is_a_503_and_readiness_says_so(database_url: str, server_url: str) -> None:
    name = make_url(database_url).database
    app = create_app(make_settings(database_url))
    async with running(app) as client:
        assert (await client.get("/health/ready")).status_code == 200
        await run_on_server(
            server_url,
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        problem_of(await client.get("/v1/collections"), 503, "database-unavailable")
        problem_of(await client.get("/health/ready"), 503, "unavailable")
        assert (await client.get("/health/live")).status_code == 200
        await run_on_server(server_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert (await client.get("/health/ready")).status_code == 200
        assert (await client.get("/v1/collections")).status_code == 200


async def test_the_callers_request_id_is_kept_if_it_is_one(client: httpx.AsyncClient) -> None:
    given = await client.get("/v1/collections", headers={"X-Request-ID": "job-7:a.b"})
    assert given.headers["x-request-id"] == "job-7:a.b"
    odd = await client.get("/v1/collections", headers={"X-Request-ID": "a b\tc"})
    assert odd.headers["x-request-id"] != "a b\tc"


async def test_logs_hold_no_document_and_no_key(
    client: httpx.AsyncClient, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(Settings(log_format="json"))  # on the standard error that capsys holds
    await make_collection(client)
    await upsert(client, {"key": "a", "content": "canary-text"})
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("ALTER TABLE chunk ADD CONSTRAINT broken CHECK (content <> 'canary-again')"))
        await connection.execute(text("DROP TABLE embedding"))
    body = {"documents": [{"key": "b", "content": "canary-two"}]}
    problem_of(await client.post("/v1/collections/docs/documents", json=body), 500, "internal")
    written = capsys.readouterr()
    configure_logs(Settings(log_format="json", log_level="warning"))
    assert "request failed" in written.err
    assert "canary" not in written.err + written.out
    assert "sesame" not in written.err + written.out


async def test_paths_of_wrong_fields_are_relative_to_the_body(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/collections", json={"name": "x", "chunking": {"size": "big"}})
    assert paths_of(problem_of(response, 400, "invalid-request")) == ["chunking.size"]


async def test_what_is_not_there_under_schema_is_a_problem_too(client: httpx.AsyncClient) -> None:
    problem_of(await client.get("/schema/redoc"), 404, "not-found")


async def test_a_missing_parameter_is_named(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/messages")
    assert paths_of(problem_of(response, 400, "invalid-request")) == ["session_key"]


async def test_a_busy_service_is_still_ready(database_url: str) -> None:
    app = create_app(make_settings(database_url, request_pool_timeout=0.2))
    async with running(app) as client, app.state.ragstore.database.transaction():
        assert (await client.get("/health/ready")).status_code == 200


async def test_the_openapi_document_describes_what_is_really_answered(client: httpx.AsyncClient) -> None:
    document = (await client.get("/schema/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert schemas["DocumentsUpsert"]["properties"]["documents"]["items"] == {
        "$ref": "#/components/schemas/DocumentUpsert"
    }
    assert not schemas["DocumentUpsert"].get("required")
    assert set(schemas["ChunkUpsert"]["required"]) == {"content"}
    assert document["paths"]["/health/live"]["get"]["security"] == []
    assert set(document["paths"]["/v1/sessions"]["post"]["responses"]) >= {"200", "201", "400", "401", "403"}
    assert "status_code" not in str(schemas)
    for reference in re.findall(r'"(#/components/[^"]+)"', (await client.get("/schema/openapi.json")).text):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


@pytest.mark.parametrize(
    ("method", "address", "body", "said"),
    [
        (
            "POST",
            "/v1/collections/docs/search",
            {"mode": "words"},
            "mode: 'words' is not one of: hybrid, text, vector.",
        ),
        (
            "POST",
            "/v1/search",
            {"collections": ["docs"], "include": ["content", "x"]},
            "include[1]: 'x' is not one of: content, metadata, scores, vector.",
        ),
        ("POST", "/v1/collections/docs/search", {"group_by": "x"}, "group_by: 'x' is not one of: document."),
        (
            "POST",
            "/v1/collections/docs/search",
            {"fusion": {"method": "x"}},
            "fusion.method: 'x' is not one of: convex, rrf.",
        ),
        ("PUT", "/v1/collections/docs/index", {"mode": "x"}, "mode: 'x' is not one of: auto, off, on."),
        (
            "POST",
            "/v1/collections",
            {"name": "x", "metric": "x"},
            "metric: 'x' is not one of: cosine, inner_product, l2.",
        ),
        ("GET", "/v1/collections/docs/recall?source=x", None, "source: 'x' is not one of: queries, stored."),
    ],
)
async def test_a_wrong_choice_is_told_the_right_ones(
    client: httpx.AsyncClient, method: str, address: str, body: object, said: str
) -> None:
    await make_collection(client)
    answer = problem_of(await client.request(method, address, json=body), 400, "invalid-request")
    assert answer["detail"] == said


async def test_a_wrong_language_is_told_all_of_them(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/collections", json={"name": "x", "language": "klingon"})
    assert "is not one of: arabic, armenian," in problem_of(answer, 400, "invalid-request")["detail"]
    assert answer.json()["detail"].endswith("turkish, yiddish.")


async def test_half_a_surrogate_pair_is_not_only_called_truncated(client: httpx.AsyncClient) -> None:
    for body in (b'{"name": "\\ud800 x"}', b'{"name": "\\udc00"}', b'{"name": "x \\ud83d"}'):
        answer = await client.post("/v1/collections", content=body, headers=JSON)
        assert "surrogate pair" in problem_of(answer, 400, "invalid-request")["detail"]
