"""The second wall: what a statement forgets, the database refuses."""

import contextlib
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from ragstore.app import create_app, make_state, run_state
from ragstore.columns import new_id
from ragstore.database import Database
from ragstore.errors import ConfigurationError, InternalError
from tests.builders import make_collection, open_session, search, upsert
from tests.conftest import ROLES, make_settings, run_on_server, running

TENANT_TEST = re.compile(r"(?:\b\w+\.)?tenant_id = (?P<parameter>\$\d+)(?:::UUID)?")
CANARY = "canary of tenant"


def strip_tenant(statement: str) -> str:
    """Every comparison of a tenant with a parameter becomes true; the parameter keeps its place and type."""
    return TENANT_TEST.sub(lambda match: f"(CAST({match['parameter']} AS uuid) IS NOT NULL)", statement)


@pytest.fixture
async def careless(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A service whose programmers forgot the tenant in every single statement."""
    app = create_app(make_settings(database_url))
    stripped: set[str] = set()

    @event.listens_for(app.state.ragstore.database.engine.sync_engine, "before_cursor_execute", retval=True)
    def forget(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> Any:
        forgotten = strip_tenant(statement)
        if forgotten != statement:
            stripped.add(statement)
        return forgotten, parameters

    async with running(app) as client:
        yield client
    assert len(stripped) >= 12, "the test forgot nothing: do statements still say tenant_id = …?"


async def test_without_any_predicate_of_its_own_a_tenant_sees_nothing_foreign(
    careless: httpx.AsyncClient, stranger_key: str
) -> None:
    stranger = {"Authorization": f"Bearer {stranger_key}"}
    documents: dict[str, str] = {}
    sessions: dict[str, str] = {}
    for name, headers in (("one", {}), ("two", stranger)):
        await careless.post("/v1/collections", json={"name": f"docs-{name}"}, headers=headers)
        body = {"documents": [{"key": "a", "content": f"{CANARY} {name}", "metadata": {"x": 1}}]}
        posted = await careless.post(f"/v1/collections/docs-{name}/documents", json=body, headers=headers)
        documents[name] = posted.json()["results"][0]["id"]
        message = {"session_key": f"s-{name}", "role": "user", "content": f"{CANARY} {name}"}
        stored = await careless.post("/v1/messages", json=message, headers=headers)
        sessions[name] = stored.json()["session_id"]
    files: dict[str, str] = {}
    for name, headers in (("one", {}), ("two", stranger)):
        sent = [("file", (f"{name}.txt", f"{CANARY} {name}".encode()))]
        uploaded = await careless.post(f"/v1/collections/docs-{name}/files", files=sent, headers=headers)
        files[name] = uploaded.json()["results"][0]["file_id"]
    probes: list[tuple[str, str, Any]] = [
        ("GET", "/v1/collections", None),
        ("GET", "/v1/collections/docs-one", None),
        ("GET", "/v1/collections/docs-one/documents?include=content", None),
        ("GET", f"/v1/collections/docs-one/documents/{documents['one']}", None),
        ("GET", f"/v1/collections/docs-two/documents/{documents['one']}", None),
        ("GET", f"/v1/collections/docs-two/documents/{documents['one']}/chunks", None),
        ("POST", "/v1/collections/docs-one/search", {"query": CANARY}),
        ("POST", "/v1/collections/docs-two/search", {"query": CANARY, "top_k": 100}),
        ("POST", "/v1/collections/docs-two/search", {"query": CANARY, "filter": {"x": 1}}),
        ("GET", '/v1/collections/docs-two/documents?include=content&filter={"x": 1}', None),
        ("GET", "/v1/collections/docs-one/export", None),
        ("GET", "/v1/collections/docs-two/export", None),
        ("POST", "/v1/collections/docs-two/documents/import?import=mine", None),
        ("GET", "/v1/collections/docs-two/documents/import?import=mine", None),
        ("GET", "/v1/collections/docs-one/recall", None),
        ("GET", "/v1/collections/docs-two/recall", None),
        ("GET", "/v1/collections/docs-one/reembed", None),
        ("DELETE", "/v1/collections/docs-one/reembed", None),
        ("GET", "/v1/doctor", None),
        ("GET", f"/v1/files/{files['one']}", None),
        ("GET", f"/v1/files/{files['one']}/content", None),
        ("GET", "/v1/sessions", None),
        ("GET", f"/v1/sessions/{sessions['one']}", None),
        ("GET", f"/v1/sessions/{sessions['one']}/messages", None),
        ("GET", "/v1/messages?session_key=s-one", None),
        ("PATCH", f"/v1/sessions/{sessions['one']}", {"title": "mine now"}),
        ("POST", f"/v1/sessions/{sessions['one']}/messages", {"role": "user", "content": "intruder"}),
        ("DELETE", f"/v1/collections/docs-two/documents/{documents['one']}", None),
        ("DELETE", "/v1/collections/docs-one", None),
        ("DELETE", f"/v1/sessions/{sessions['one']}", None),
    ]
    for method, path, body in probes:
        response = await careless.request(method, path, json=body, headers=stranger)
        assert f"{CANARY} one" not in response.text, (method, path)
        assert "docs-one" not in response.text.replace("'docs-one'", ""), (method, path)
        assert response.status_code < 500, (method, path, response.text)
    read = await careless.get(f"/v1/collections/docs-one/documents/{documents['one']}")
    assert read.json()["content"] == f"{CANARY} one"
    kept = await careless.get(f"/v1/sessions/{sessions['one']}/messages")
    assert [one["content"] for one in kept.json()["items"]] == [f"{CANARY} one"]


async def list_tenant_tables(database: Database) -> list[str]:
    async with database.transaction() as session:
        connection = await session.connection()
        rows = await connection.scalars(
            text(
                "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
                " AND c.relkind IN ('r', 'p') AND c.relname <> 'alembic_version' ORDER BY 1"
            )
        )
        return list(rows)


async def test_every_table_forces_row_level_security(database: Database) -> None:
    async with database.transaction() as session:
        connection = await session.connection()
        rows = (
            await connection.execute(
                text(
                    "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, count(p.oid) AS policies"
                    " FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid"
                    " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
                    " AND c.relname <> 'alembic_version' GROUP BY 1, 2, 3"
                )
            )
        ).all()
    assert len(rows) >= 14
    assert [row for row in rows if not (row.relrowsecurity and row.relforcerowsecurity and row.policies)] == []


async def test_the_role_of_the_service_sees_one_tenant_or_none(
    client: httpx.AsyncClient, database_url: str, database: Database, stranger_key: str
) -> None:
    await make_collection(client)
    await upsert(client, {"key": "a", "content": "mine", "metadata": {"x": 1}})
    await client.post("/v1/messages", json={"session_key": "s", "role": "user", "content": "mine"})
    acting = Database.connect(database_url, make_settings(database_url), role=ROLES.app)
    tables = await list_tenant_tables(database)
    filled = {"collection", "document", "metadata_entry", "chunk", "embedding", "embedding_model"}
    filled |= {"chat_session", "chat_message"}
    for tenant_id in (None, new_id()):
        async with acting.transaction(tenant_id) as session:
            connection = await session.connection()
            for table in tables:
                assert await connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table
    async with database.transaction() as session:
        connection = await session.connection()
        mine = await connection.scalar(text("SELECT id FROM tenant WHERE name = 'default'"))
    async with acting.transaction(mine) as session:
        connection = await session.connection()
        seen = {table for table in tables if await connection.scalar(text(f"SELECT count(*) FROM {table}"))}
        assert filled <= seen
        assert await connection.scalar(text("SELECT count(*) FROM tenant")) == 1
    await acting.close()


async def test_no_tenant_is_left_on_a_connection_that_goes_back_to_the_pool(database_url: str) -> None:
    acting = Database.connect(database_url, make_settings(database_url), role=ROLES.app)
    for fails in (False, True, False):
        try:
            async with acting.transaction(new_id()) as session:
                connection = await session.connection()
                if fails:
                    await connection.execute(text("SELECT 1/0"))
        except Exception:  # the second one is meant to fail
            pass
        async with acting.transaction() as session:
            connection = await session.connection()
            assert await connection.scalar(text("SELECT nullif(current_setting('app.tenant', true), '')")) is None
    await acting.close()


async def test_a_commit_after_a_swallowed_error_is_no_success(database_url: str) -> None:
    """Postgres answers ROLLBACK to such a COMMIT, and no error."""
    acting = Database.connect(database_url, make_settings(database_url), role=ROLES.app)

    async def swallow() -> None:
        async with acting.transaction() as session:
            with contextlib.suppress(DBAPIError):
                await (await session.connection()).execute(text("SELECT 1/0"))

    with pytest.raises(InternalError, match="rolled back"):
        await swallow()
    await acting.close()


@pytest.mark.parametrize(
    ("attribute", "complaint"), [("SUPERUSER", "is a superuser"), ("BYPASSRLS", "bypasses row-level security")]
)
async def test_a_role_that_reaches_past_the_walls_is_not_served(
    database_url: str, server_url: str, attribute: str, complaint: str
) -> None:
    role = f"careless_{attribute.lower()}"
    await run_on_server(server_url, f"DROP ROLE IF EXISTS {role}", f"CREATE ROLE {role} NOLOGIN {attribute}")
    grant = f"GRANT SELECT ON alembic_version TO {role}"
    await run_on_server(database_url, grant)
    with pytest.raises(ConfigurationError, match=complaint):
        async with run_state(make_state(make_settings(database_url, app_role=role))):
            pass


async def test_a_role_that_owns_a_table_is_not_served(database_url: str, server_url: str) -> None:
    await run_on_server(server_url, "DROP ROLE IF EXISTS careless_owner", "CREATE ROLE careless_owner NOLOGIN")
    await run_on_server(
        database_url,
        "GRANT USAGE, CREATE ON SCHEMA public TO careless_owner",
        "GRANT SELECT ON alembic_version TO careless_owner",
        "ALTER TABLE file OWNER TO careless_owner",
    )
    with pytest.raises(ConfigurationError, match="owns file"):
        async with run_state(make_state(make_settings(database_url, app_role="careless_owner"))):
            pass


async def test_a_table_without_the_wall_is_noticed_at_start(database_url: str) -> None:
    await run_on_server(database_url, "ALTER TABLE chunk NO FORCE ROW LEVEL SECURITY")
    with pytest.raises(ConfigurationError, match=r"Without forced row-level security: chunk\."):
        async with run_state(make_state(make_settings(database_url))):
            pass


async def test_the_code_scan_stays_index_only_behind_the_wall(client: httpx.AsyncClient, database_url: str) -> None:
    await make_collection(client)
    await upsert(client, *[{"key": f"{number}", "content": f"passage {number}"} for number in range(600)])
    await open_session(client)
    assert await search(client, query="passage")
    await run_on_server(database_url, "VACUUM (ANALYZE) embedding")
    acting = Database.connect(database_url, make_settings(database_url), role=ROLES.app)
    owner = Database.connect(database_url, make_settings(database_url))
    async with owner.transaction() as session:
        row = (await (await session.connection()).execute(text("SELECT tenant_id, id FROM collection"))).one()
    async with acting.transaction(row.tenant_id) as session:
        connection = await session.connection()
        plan = "\n".join(
            await connection.scalars(
                text(
                    "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT e.chunk_id FROM embedding e"
                    f" WHERE e.tenant_id = '{row.tenant_id}' AND e.collection_id = '{row.id}' AND e.model_id = 1"
                    " ORDER BY e.code <~> (SELECT code FROM embedding LIMIT 1), e.chunk_id LIMIT 200"
                )
            )
        )
    await acting.close()
    await owner.close()
    assert "Index Only Scan using ix_embedding_code" in plan
    assert "Heap Fetches: 0" in plan
    assert "One-Time Filter" in plan


def fill_tenant(tenant_id: uuid.UUID) -> list[str]:
    """Enough rows that the planner chooses by cost and not by chance; the collection has the tenant's id."""
    mine = collection = f"'{tenant_id}'::uuid"
    return [
        f"INSERT INTO tenant (id, name) VALUES ({mine}, 'filled')",
        f"INSERT INTO embedding_model (tenant_id, id, name, code_version) VALUES ({mine}, 1, 'local', 1)",
        "INSERT INTO collection (tenant_id, id, name, model_id, chunk_size, chunk_overlap, language)"
        f" VALUES ({mine}, {collection}, 'docs', 1, 512, 64, 'english')",
        "INSERT INTO document (tenant_id, id, collection_id, key, content, content_digest, record_digest, version,"
        f" chunk_count) SELECT {mine}, gen_random_uuid(), {collection}, n::text, '', '', '', 1, 0"
        " FROM generate_series(1, 3000) n",
        f"INSERT INTO metadata_entry (tenant_id, collection_id, document_id, entry) SELECT {mine}, {collection}, id,"
        f" sha256(key::bytea) FROM document WHERE tenant_id = {mine}",
        f"INSERT INTO chat_session (tenant_id, id, key) SELECT {mine}, gen_random_uuid(), n::text"
        " FROM generate_series(1, 3000) n",
    ]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("SELECT id FROM document WHERE {tenant} AND collection_id = '{id}' AND key = ANY('{{a}}')", "uq_document_key"),
        (
            "SELECT id FROM document WHERE {tenant} AND collection_id = '{id}' ORDER BY id LIMIT 9",
            "(ix_document_collection|pk_document)",
        ),
        (
            "SELECT document_id FROM metadata_entry WHERE {tenant} AND collection_id = '{id}' AND entry >= '\\x01'"
            " AND entry < '\\x02'",
            "ix_metadata_entry",
        ),
        (
            "SELECT id FROM document WHERE {tenant} AND collection_id = '{id}' AND created_at < '2020-01-01'",
            "ix_document_created",
        ),
        ("SELECT id FROM chunk WHERE {tenant} AND document_id = '{id}' ORDER BY ordinal LIMIT 9", "uq_chunk_ordinal"),
        ("SELECT vector FROM embedding WHERE {tenant} AND chunk_id = '{id}' AND model_id = 1", "pk_embedding"),
        (
            "SELECT id FROM chat_message WHERE {tenant} AND session_id = '{id}' ORDER BY position DESC LIMIT 50",
            "pk_chat_message",
        ),
        ("SELECT id FROM chat_session WHERE {tenant} AND key = 's'", "uq_chat_session_key"),
        (
            "SELECT id FROM chat_session WHERE {tenant} ORDER BY last_message_at DESC, id DESC LIMIT 9",
            "ix_chat_session_activity",
        ),
        ("SELECT id FROM collection WHERE {tenant} AND name = 'docs'", "uq_collection_name"),
        ("SELECT id FROM app_user WHERE {tenant} AND lower(email) = 'a@b'", "uq_app_user_email"),
    ],
)
async def test_hot_plans_keep_their_indexes_behind_the_wall(database_url: str, statement: str, index: str) -> None:
    """A condition that is not leakproof would be tried after the policy, row by row."""
    tenant_id = new_id()
    await run_on_server(database_url, *fill_tenant(tenant_id), "ANALYZE document, metadata_entry, chat_session")
    acting = Database.connect(database_url, make_settings(database_url), role=ROLES.app)
    async with acting.transaction(tenant_id) as session:
        connection = await session.connection()
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        asked = statement.format(tenant=f"tenant_id = '{tenant_id}'", id=tenant_id)
        plan = "\n".join(await connection.scalars(text(f"EXPLAIN (COSTS OFF) {asked}")))
    await acting.close()
    assert re.search(index, plan), plan
    assert "Seq Scan" not in plan
    condition = plan.partition("Index Cond:")[2].partition("\n")[0]
    assert "tenant_id" in condition, plan


async def test_a_role_that_may_become_one_beyond_the_walls_is_not_served(database_url: str, server_url: str) -> None:
    await run_on_server(
        server_url,
        "DROP ROLE IF EXISTS careless_member",
        "CREATE ROLE careless_member NOLOGIN",
        "DROP ROLE IF EXISTS careless_member_definer",
        "CREATE ROLE careless_member_definer NOLOGIN",
        "GRANT careless_member_definer TO careless_member",
    )
    with pytest.raises(ConfigurationError, match="may become careless_member_definer"):
        async with run_state(make_state(make_settings(database_url, app_role="careless_member"))):
            pass


async def test_a_policy_that_lets_everybody_in_is_noticed_at_start(database_url: str) -> None:
    await run_on_server(database_url, "CREATE POLICY wide ON document USING (true)")
    with pytest.raises(ConfigurationError, match=r"see each other: document\.wide"):
        async with run_state(make_state(make_settings(database_url))):
            pass
