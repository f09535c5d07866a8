"""`docs/schema.md` is made from the tables and views; `RAGSTORE_TEST_WRITE_DOCS=1 pytest tests/test_schema_docs.py`
makes it anew.
"""

import inspect
import os
import re
from pathlib import Path

from sqlalchemy import CheckConstraint, Column, Constraint, ForeignKeyConstraint, Table, UniqueConstraint, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex
from sqlmodel import SQLModel

import ragstore.job.tables
import ragstore.store  # noqa: F401  # with the application come all tables
from ragstore.database import Database

PAGE = Path(__file__).parent.parent / "docs" / "schema.md"
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # without types in SQLAlchemy


def read_meanings() -> dict[str, str]:
    """By table: the first paragraph of its class's docstring."""
    mappers = SQLModel._sa_registry.mappers
    return {str(one.local_table): (inspect.getdoc(one.class_) or "").partition("\n\n")[0] for one in mappers}


def write_tables() -> str:
    meanings = read_meanings()
    return "\n\n".join(write_table(table, meanings[table.name]) for table in SQLModel.metadata.sorted_tables)


def write_table(table: Table, meaning: str) -> str:
    columns = [
        f"| `{one.name}` | {write_type(one)} | {'yes' if one.nullable else ''} | {write_default(one)} |"
        for one in table.columns
    ]
    keys = sorted(map(write_constraint, table.constraints), key=lambda one: (not one.startswith("PRIMARY"), one))
    indexes = [
        str(CreateIndex(one).compile(dialect=DIALECT)).removeprefix("CREATE ").replace(f" ON {table.name}", "")
        for one in sorted(table.indexes, key=lambda one: str(one.name))
    ]
    return "\n".join(
        [
            f"### {table.name}",
            "",
            meaning,
            "",
            "| column | type | null | default |",
            "|---|---|---|---|",
            *columns,
            "",
            *(f"- {one}" for one in [*keys, *indexes]),
        ]
    )


def write_type(column: "Column[object]") -> str:
    kind = column.type.compile(DIALECT).lower().replace('collate "c"', 'collate "C"')
    return kind.replace("timestamp with time zone", "timestamptz")


def write_default(column: "Column[object]") -> str:
    default = getattr(column.server_default, "arg", None)
    return "" if default is None else f"`{str(default).removesuffix('::jsonb')}`"


def write_constraint(constraint: Constraint) -> str:
    if isinstance(constraint, CheckConstraint):
        return f"CHECK ({constraint.sqltext})"
    columns = ", ".join(one.name for one in constraint.columns)  # type: ignore[attr-defined]
    if isinstance(constraint, ForeignKeyConstraint):
        there = ", ".join(one.column.name for one in constraint.elements)
        rule = f", ON DELETE {constraint.ondelete}" if constraint.ondelete else ""
        return f"FOREIGN KEY ({columns}) → {constraint.referred_table.name} ({there}){rule}"
    return f"{'UNIQUE' if isinstance(constraint, UniqueConstraint) else 'PRIMARY KEY'} ({columns})"


async def write_views(database: Database) -> str:
    async with database.engine.connect() as connection:
        views = await connection.execute(
            text("""
                SELECT c.relname AS name, obj_description(c.oid) AS meaning,
                    array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS columns
                FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
                WHERE c.relnamespace = 'ragstore'::regnamespace AND c.relkind = 'v'
                GROUP BY 1, 2 ORDER BY 1
            """)
        )
        return "\n\n".join(
            f"### ragstore.{view.name}\n\n{view.meaning}\n\n{', '.join(map(write_column, view.columns))}"
            for view in views
        )


def write_column(described: str) -> str:
    name, _, kind = described.partition(" ")
    return f"`{name}` {kind.replace('timestamp with time zone', 'timestamptz')}"


def check_part(part: str, made: str) -> None:
    place = re.compile(rf"(<!-- made by tests/test_schema_docs.py: {part} -->\n)(.*?)(<!-- end -->)", re.DOTALL)
    page = PAGE.read_text()
    found = place.search(page)
    assert found, f"the page has no place for the {part}"
    if os.environ.get("RAGSTORE_TEST_WRITE_DOCS"):
        PAGE.write_text(place.sub(lambda match: f"{match[1]}\n{made}\n\n{match[3]}", page))
    else:
        assert found[2].strip() == made


def test_the_page_shows_the_tables_as_they_are() -> None:
    check_part("tables", write_tables())


async def test_the_page_shows_the_views_as_they_are(database: Database) -> None:
    check_part("views", await write_views(database))


def test_every_table_says_what_it_is_for() -> None:
    assert [name for name, meaning in read_meanings().items() if len(meaning) < 20 or "(" in meaning.split()[0]] == []
