"""Jobs know when their attempt began and since when they wait for others; keys know which job promised them last."""

import sqlalchemy as sa
from alembic import context, op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SAFE = "SET search_path = pg_catalog, public, pg_temp"
MINE = "nullif(current_setting('app.tenant', true), '')::uuid"
# As in 0003, and it notes when the attempt began and how much was done before.
BEGUN = """
            started_at = CASE WHEN j.attempts < j.max_attempts THEN now() ELSE j.started_at END,
            done_before = coalesce((j.counts ->> 'done')::integer, 0),
"""
CLAIM = """
CREATE OR REPLACE FUNCTION ragstore_claim_jobs(kinds text[], claimer text, lease interval, most integer)
RETURNS TABLE (tenant_id uuid, id uuid, kind text, payload jsonb, attempts integer, max_attempts integer, fence bigint)
LANGUAGE sql VOLATILE SECURITY DEFINER {safe}
AS $$
    WITH due AS MATERIALIZED (
        SELECT j.tenant_id, j.id, j.priority, j.run_at FROM public.job j
        WHERE j.state = 'queued' AND j.run_at <= now() AND j.kind = ANY (kinds)
        ORDER BY j.priority, j.run_at, j.id LIMIT most FOR UPDATE SKIP LOCKED
    ), lost AS MATERIALIZED (
        SELECT j.tenant_id, j.id, j.priority, j.run_at FROM public.job j
        WHERE j.state = 'running' AND j.lease_until <= now() AND j.kind = ANY (kinds)
        ORDER BY j.priority, j.run_at, j.id LIMIT most FOR UPDATE SKIP LOCKED
    ), chosen AS MATERIALIZED (
        SELECT b.*, row_number() OVER (ORDER BY b.priority, b.run_at, b.id) AS place
        FROM (SELECT * FROM due UNION ALL SELECT * FROM lost) b ORDER BY place LIMIT most
    ), taken AS (
        UPDATE public.job j SET
            state = CASE WHEN j.attempts < j.max_attempts THEN 'running' ELSE 'failed' END,{begun}
            attempts = CASE WHEN j.attempts < j.max_attempts THEN j.attempts + 1 ELSE j.attempts END,
            worker = CASE WHEN j.attempts < j.max_attempts THEN claimer END,
            lease_until = CASE WHEN j.attempts < j.max_attempts THEN now() + lease END,
            finished_at = CASE WHEN j.attempts < j.max_attempts THEN NULL::timestamptz ELSE now() END,
            error = CASE WHEN j.attempts < j.max_attempts THEN j.error ELSE jsonb_build_object(
                'type', 'urn:ragstore:error:worker-lost',
                'detail', format('Its worker ended or stopped answering, the last of %s times.', j.attempts)) END,
            fence = j.fence + 1, updated_at = now()
        FROM chosen c WHERE j.tenant_id = c.tenant_id AND j.id = c.id
        RETURNING j.tenant_id, j.id, j.kind, j.payload, j.attempts, j.max_attempts, j.fence, j.state, c.place
    )
    SELECT t.tenant_id, t.id, t.kind, t.payload, t.attempts, t.max_attempts, t.fence
    FROM taken t WHERE t.state = 'running' ORDER BY t.place
$$
"""
# What a job promised is forgotten with the job: one that failed may be tried again as long as it is there.
SWEEP_KEYS = f"""
CREATE FUNCTION ragstore_sweep_accepted_key(older interval, most integer) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER {SAFE}
AS $$
    WITH gone AS (
        DELETE FROM public.accepted_key x WHERE x.ctid = ANY (ARRAY(
            SELECT a.ctid FROM public.accepted_key a
            WHERE older >= interval '0' AND NOT EXISTS (
                SELECT FROM public.job j
                WHERE j.tenant_id = a.tenant_id AND j.id = a.job_id AND j.state <> 'succeeded'
            )
            LIMIT most FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$
"""
SWEEP_NAME = "ragstore_sweep_accepted_key(interval, integer)"
UNFINISHED = "state IN ('queued', 'running') AND payload ? 'collection_id'"


def upgrade() -> None:
    app, definer = context.config.attributes["app_role"], context.config.attributes["definer_role"]
    op.add_column("job", sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("job", sa.Column("done_before", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("job", sa.Column("stalled_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_job_collection", "job", ["tenant_id", sa.text("(payload ->> 'collection_id')")],
        postgresql_where=sa.text(UNFINISHED),
    )  # fmt: skip
    create_accepted_key()
    op.execute("ALTER TABLE accepted_key ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE accepted_key FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY one_tenant ON accepted_key USING (tenant_id = {MINE}) WITH CHECK (tenant_id = {MINE})")
    op.execute(f"CREATE POLICY across_tenants ON accepted_key TO {definer} USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON accepted_key TO {app}")
    op.execute(f"GRANT SELECT, UPDATE, DELETE ON accepted_key TO {definer}")
    op.execute(f"GRANT CREATE ON SCHEMA public TO {definer}")
    op.execute(SWEEP_KEYS)
    op.execute(f"REVOKE ALL ON FUNCTION {SWEEP_NAME} FROM PUBLIC")
    op.execute(f"ALTER FUNCTION {SWEEP_NAME} OWNER TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(CLAIM.format(safe=SAFE, begun=BEGUN))
    op.execute(f"GRANT EXECUTE ON FUNCTION {SWEEP_NAME} TO {app}")
    op.execute("RESET ROLE")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {definer}")


def create_accepted_key() -> None:
    op.create_table(
        "accepted_key",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "collection_id"],
            ["collection.tenant_id", "collection.id"],
            name=op.f("fk_accepted_key_collection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "collection_id", "key", name=op.f("pk_accepted_key")),
    )


def downgrade() -> None:
    definer = context.config.attributes["definer_role"]
    op.execute(f"GRANT CREATE ON SCHEMA public TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(CLAIM.format(safe=SAFE, begun=""))
    op.execute("RESET ROLE")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {definer}")
    op.execute(f"DROP FUNCTION {SWEEP_NAME}")
    op.drop_table("accepted_key")
    op.drop_index("ix_job_collection", "job")
    for column in ("stalled_at", "done_before", "started_at"):
        op.drop_column("job", column)
