"""Which indexes answer a filter behind row-level security, for the role that the service acts as."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import asyncpg

from ragstore.columns import new_id
from ragstore.database import Database
from ragstore.document.filter_sql import compile_filter
from ragstore.document.filters import parse_filter
from tests.conftest import ROLES, make_settings, run_on_server
from tests.document.plain_reading import Stored
from tests.document.stored import store_documents

COUNT = 20_000
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SELECT = "SELECT d.id FROM document d WHERE d.tenant_id = :tenant_id AND d.collection_id = :collection_id AND "


@dataclass(frozen=True)
class Filled:
    acting: Database
    tenant_id: UUID

    def compile(self, tree: object) -> tuple[str, dict[str, Any]]:
        sql, parameters = compile_filter(parse_filter(tree))
        return SELECT + sql, parameters | {"tenant_id": self.tenant_id, "collection_id": self.tenant_id}


@pytest.fixture
async def filled(database: Database, database_url: str) -> AsyncIterator[Filled]:
    """20,000 documents: `group` 1 % each, `score` unique, `kind` a half each; analyzed."""
    documents = [
        Stored(
            new_id(),
            f"k{number}",
            f"s{number % 50}",
            BEGAN + timedelta(minutes=number),
            {"group": f"g{number % 100}", "score": number / COUNT, "kind": number % 2 == 0},
        )
        for number in range(COUNT)
    ]
    tenant_id = await store_documents(database, documents)
    await run_on_server(database_url, "VACUUM (ANALYZE) document", "VACUUM (ANALYZE) metadata_entry")
    acting = Database.connect(database_url, make_settings(database_url), role=ROLES.app)
    yield Filled(acting, tenant_id)
    await acting.close()


SERVED: list[tuple[Any, int, str]] = [
    ({"group": "g7"}, 200, "entry ="),
    ({"group": {"$in": ["g7", "g8"]}}, 400, "entry = ANY"),
    ({"score": {"$gte": 0.5, "$lt": 0.51}}, 200, "entry >="),
    ({"$and": [{"score": {"$gte": 0.5}}, {"kind": True}, {"score": {"$lt": 0.51}}]}, 100, "entry >="),
    ({"$or": [{"group": "g7"}, {"score": {"$lt": 0.001}}]}, 219, "entry >="),
    ({"$or": [{"group": "g7"}, {"@key": "k1"}]}, 201, "entry ="),
    ({"@source": "s7"}, 400, "entry ="),
    ({"group": {"$in": [f"g{number}" for number in range(99, 10_000)]}}, 200, "entry ="),
]
FIELDS: list[tuple[Any, int, str]] = [
    ({"@key": {"$in": ["k1", "k2"]}}, 2, "uq_document_key"),
    ({"@created_at": {"$gte": (BEGAN + timedelta(minutes=COUNT - 100)).isoformat()}}, 100, "ix_document_created"),
]


async def test_entries_find_what_a_filter_asks_for(filled: Filled) -> None:
    for tree, count, condition in SERVED:
        statement, parameters = filled.compile(tree)
        async with filled.acting.transaction(filled.tenant_id, plan="custom") as session:
            connection = await session.connection()
            found = (await connection.scalars(text(statement), parameters)).all()
            plan = "\n".join(await connection.scalars(text(f"EXPLAIN (COSTS OFF) {statement}"), parameters))
        assert len(found) == count, tree
        searched = re.search(r"using ix_metadata_entry on metadata_entry.*\n\s*Index Cond: (.*)", plan)
        assert searched, plan[:5000]
        assert "tenant_id =" in searched[1]
        assert condition in plan
        assert "Seq Scan on document" not in plan, plan[:5000]


async def test_columns_with_an_index_stand_for_themselves(filled: Filled) -> None:
    for tree, count, index in FIELDS:
        statement, parameters = filled.compile(tree)
        async with filled.acting.transaction(filled.tenant_id, plan="custom") as session:
            connection = await session.connection()
            assert len((await connection.scalars(text(statement), parameters)).all()) == count
            plan = "\n".join(await connection.scalars(text(f"EXPLAIN (COSTS OFF) {statement}"), parameters))
        assert index in plan


def write_literal(value: Any) -> str:
    return f"'\\x{value.hex()}'" if isinstance(value, bytes) else f"'{value}'"


@pytest.mark.parametrize("tree", [{"group": "g7"}, {"score": {"$gte": 0.5, "$lt": 0.51}}])
async def test_a_prepared_statement_is_planned_for_its_values(filled: Filled, tree: Any) -> None:
    """Also after the five runs after which Postgres would consider a plan for any values."""
    statement, parameters = filled.compile(tree)
    compiled = text(statement).compile(dialect=asyncpg.dialect())  # type: ignore[no-untyped-call]  # not in SQLAlchemy
    values = ", ".join(write_literal(parameters[name]) for name in compiled.positiontup or ())
    async with filled.acting.transaction(filled.tenant_id, plan="custom") as session:
        connection = await session.connection()
        await connection.exec_driver_sql(f"PREPARE asked AS {compiled}")
        for _ in range(7):
            found = (await connection.exec_driver_sql(f"EXECUTE asked({values})")).all()
        plan = "\n".join((await connection.exec_driver_sql(f"EXPLAIN (COSTS OFF) EXECUTE asked({values})")).scalars())
    assert len(found) == 200
    assert "using ix_metadata_entry" in plan
    assert "$" not in plan.partition("Index Cond:")[2].partition("\n")[0]
    assert "Seq Scan" not in plan
