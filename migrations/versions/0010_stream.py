"""How far imports have come that their callers named."""

import sqlalchemy as sa
from alembic import context, op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MINE = "nullif(current_setting('app.tenant', true), '')::uuid"
SWEEP_POSITIONS = """
CREATE FUNCTION ragstore_sweep_import_position(older interval, most integer) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH gone AS (
        DELETE FROM public.import_position x WHERE x.ctid = ANY (ARRAY(
            SELECT p.ctid FROM public.import_position p
            WHERE older >= interval '0' AND p.updated_at < now() - older
            LIMIT most FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$
"""
SWEEP_NAME = "ragstore_sweep_import_position(interval, integer)"
COUNTS = ("lines", "created", "updated", "unchanged", "failed", "chunks")


def upgrade() -> None:
    op.create_table(
        "import_position",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False) for name in COUNTS),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("claim", sa.Uuid(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "collection_id"],
            ["collection.tenant_id", "collection.id"],
            name=op.f("fk_import_position_collection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "collection_id", "name", name=op.f("pk_import_position")),
    )
    protect()
    add_sweep(context.config.attributes["app_role"], context.config.attributes["definer_role"])


def protect() -> None:
    op.execute("ALTER TABLE import_position ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE import_position FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY one_tenant ON import_position USING (tenant_id = {MINE}) WITH CHECK (tenant_id = {MINE})"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON import_position TO {context.config.attributes['app_role']}")


def add_sweep(app: str, definer: str) -> None:
    op.execute(f"CREATE POLICY across_tenants ON import_position TO {definer} USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, UPDATE, DELETE ON import_position TO {definer}")
    op.execute(f"GRANT CREATE ON SCHEMA public TO {definer}")
    op.execute(SWEEP_POSITIONS)
    op.execute(f"REVOKE ALL ON FUNCTION {SWEEP_NAME} FROM PUBLIC")
    op.execute(f"ALTER FUNCTION {SWEEP_NAME} OWNER TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(f"GRANT EXECUTE ON FUNCTION {SWEEP_NAME} TO {app}")
    op.execute("RESET ROLE")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {definer}")


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {SWEEP_NAME}")
    op.drop_table("import_position")
