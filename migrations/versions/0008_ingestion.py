"""Passages carry metadata and the digest of what was embedded; collections say how to cut; files may be passing by."""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

RULES = {
    "chunk_strategy": ("tokens", "chunk_strategy IN ('tokens', 'markdown', 'sentences', 'none')"),
    "chunk_prefix": ("title", "chunk_prefix IN ('none', 'title', 'heading')"),
}
# What a job stored and then did not need: a job that failed keeps its file, for it may be tried again.
SWEEP_FILES = """
CREATE FUNCTION ragstore_sweep_file(older interval, most integer) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH gone AS (
        DELETE FROM public.file x WHERE x.ctid = ANY (ARRAY(
            SELECT f.ctid FROM public.file f
            WHERE older >= interval '0' AND NOT f.keep AND f.created_at < now() - older
              AND NOT EXISTS (SELECT FROM public.document d WHERE d.tenant_id = f.tenant_id AND d.file_id = f.id)
              AND NOT EXISTS (
                SELECT FROM public.job j WHERE j.tenant_id = f.tenant_id AND j.state <> 'succeeded'
                  AND j.payload ? 'file_id' AND j.payload ->> 'file_id' = f.id::text
              )
            LIMIT most FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$
"""
SWEEP_NAME = "ragstore_sweep_file(interval, integer)"


def upgrade() -> None:
    app, definer = context.config.attributes["app_role"], context.config.attributes["definer_role"]
    op.add_column(
        "chunk",
        sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
    )
    op.add_column("chunk", sa.Column("digest", sa.LargeBinary(), nullable=True))
    for name, (default, condition) in RULES.items():
        op.add_column("collection", sa.Column(name, sa.Text(), server_default=sa.text(f"'{default}'"), nullable=False))
        op.create_check_constraint(op.f(f"ck_collection_{name}"), "collection", condition)
    op.add_column("file", sa.Column("keep", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.create_index(
        "ix_job_file", "job", ["tenant_id", sa.text("(payload ->> 'file_id')")],
        postgresql_where=sa.text("payload ? 'file_id'"),
    )  # fmt: skip
    op.execute(f"CREATE POLICY across_tenants ON file TO {definer} USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, UPDATE, DELETE ON file TO {definer}")
    op.execute(f"CREATE POLICY across_tenants ON document FOR SELECT TO {definer} USING (true)")
    op.execute(f"GRANT SELECT (tenant_id, file_id) ON document TO {definer}")
    op.execute(f"GRANT CREATE ON SCHEMA public TO {definer}")
    op.execute(SWEEP_FILES)
    op.execute(f"REVOKE ALL ON FUNCTION {SWEEP_NAME} FROM PUBLIC")
    op.execute(f"ALTER FUNCTION {SWEEP_NAME} OWNER TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(f"GRANT EXECUTE ON FUNCTION {SWEEP_NAME} TO {app}")
    op.execute("RESET ROLE")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {definer}")


def downgrade() -> None:
    definer = context.config.attributes["definer_role"]
    op.execute(f"DROP FUNCTION {SWEEP_NAME}")
    op.execute(f"REVOKE ALL (tenant_id, file_id) ON document FROM {definer}")
    op.execute("DROP POLICY across_tenants ON document")
    op.execute(f"REVOKE ALL ON file FROM {definer}")
    op.execute("DROP POLICY across_tenants ON file")
    op.drop_index("ix_job_file", "job")
    op.drop_column("file", "keep")
    for name in RULES:
        op.drop_constraint(op.f(f"ck_collection_{name}"), "collection", type_="check")
        op.drop_column("collection", name)
    op.drop_column("chunk", "digest")
    op.drop_column("chunk", "metadata")
