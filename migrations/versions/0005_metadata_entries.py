"""Metadata as entries that an index finds, for the documents that are there too; documents by when they were stored."""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from ragstore.document.entries import list_entries

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MINE = "nullif(current_setting('app.tenant', true), '')::uuid"
PAGE = 1000
FIRST = "00000000-0000-0000-0000-000000000000"
READ = sa.text("""
    SELECT d.id, d.collection_id, d.source, CAST(d.metadata AS text) AS metadata FROM document d
    WHERE d.tenant_id = :tenant_id AND d.id > :after ORDER BY d.id LIMIT :page
""")
WRITE = sa.text("""
    INSERT INTO metadata_entry (tenant_id, collection_id, document_id, entry)
    SELECT :tenant_id, *
    FROM unnest(CAST(:collections AS uuid[]), CAST(:documents AS uuid[]), CAST(:entries AS bytea[]))
""")


def upgrade() -> None:
    op.create_table(
        "metadata_entry",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "document_id"],
            ["document.tenant_id", "document.id"],
            name=op.f("fk_metadata_entry_document"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "document_id", "entry", name=op.f("pk_metadata_entry")),
        postgresql_with={
            "autovacuum_vacuum_insert_scale_factor": 0.02,
            "autovacuum_vacuum_insert_threshold": 5000,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_analyze_scale_factor": 0.02,
        },
    )
    # One column holds the values of all keys: with the usual 100 of them in its statistics, few are left for each key.
    op.execute("ALTER TABLE metadata_entry ALTER COLUMN entry SET STATISTICS 1000")
    protect()
    # The foreign key's lock on `document` keeps writers out until the commit; so nothing is missed, and readers go on.
    fill_entries()
    op.create_index("ix_metadata_entry", "metadata_entry", ["tenant_id", "collection_id", "entry", "document_id"])
    op.create_index("ix_document_created", "document", ["tenant_id", "collection_id", "created_at"])


def protect() -> None:
    op.execute("ALTER TABLE metadata_entry ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE metadata_entry FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY one_tenant ON metadata_entry USING (tenant_id = {MINE}) WITH CHECK (tenant_id = {MINE})")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON metadata_entry TO {context.config.attributes['app_role']}")


def fill_entries() -> None:
    """As each tenant in turn: the owner of the tables, unless it is a superuser, sees no other rows either."""
    connection = op.get_bind()
    act_as = sa.text("SELECT set_config('app.tenant', :tenant, true)")
    for tenant_id in connection.scalars(sa.text("SELECT id FROM ragstore_list_tenants()")).all():
        connection.execute(act_as, {"tenant": str(tenant_id)})
        for rows in read_pages(connection, tenant_id):
            # Not as int: Python refuses to read one of thousands of digits, which Postgres may hold.
            found = [(row, list_entries(row.source, json.loads(row.metadata, parse_int=float))) for row in rows]
            written = {
                "tenant_id": tenant_id,
                "collections": [row.collection_id for row, entries in found for _ in entries],
                "documents": [row.id for row, entries in found for _ in entries],
                "entries": [entry for _, entries in found for entry in entries],
            }
            connection.execute(WRITE, written)
    connection.execute(act_as, {"tenant": ""})


def read_pages(connection: sa.Connection, tenant_id: object) -> Iterator[list[sa.Row[Any]]]:
    after: object = FIRST
    while rows := connection.execute(READ, {"tenant_id": tenant_id, "after": after, "page": PAGE}).all():
        yield list(rows)
        after = rows[-1].id


def downgrade() -> None:
    op.drop_index("ix_document_created", "document")
    op.drop_table("metadata_entry")
