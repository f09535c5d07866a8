"""The job queue: duplicates, claims and leases across tenants, and what sweeps delete."""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SAFE = "SET search_path = pg_catalog, public, pg_temp"
NOBODY = "'00000000-0000-0000-0000-000000000000'::uuid"  # whose jobs belong to no tenant

# A duplicate is not merely noticed: the row that waits is locked until the caller commits, and a claim skips locked
# rows. So the job that stands for this one starts after the caller's work can be seen, never before.
ENQUEUE = f"""
CREATE FUNCTION ragstore_enqueue_job(
    tenant uuid, new_id uuid, job_kind text, job_payload jsonb, job_priority integer, delay interval,
    duplicate_of text, most_attempts integer
) RETURNS uuid LANGUAGE plpgsql VOLATILE SECURITY INVOKER {SAFE}
AS $$
DECLARE
    waiting uuid;
BEGIN
    LOOP
        INSERT INTO public.job
            (tenant_id, id, kind, state, priority, payload, dedupe_key, attempts, max_attempts, fence, run_at)
        VALUES (tenant, new_id, job_kind, 'queued', job_priority, job_payload, duplicate_of, 0, most_attempts, 0,
                clock_timestamp() + delay)
        ON CONFLICT (tenant_id, kind, dedupe_key) WHERE state = 'queued' AND dedupe_key IS NOT NULL DO NOTHING;
        IF FOUND THEN
            PERFORM pg_notify('ragstore_job', '');
            RETURN new_id;
        END IF;
        SELECT j.id INTO waiting FROM public.job j
        WHERE j.tenant_id = tenant AND j.kind = job_kind AND j.dedupe_key = duplicate_of AND j.state = 'queued'
        FOR SHARE;
        IF FOUND THEN
            RETURN waiting;
        END IF;  -- it was claimed between the two statements
    END LOOP;
END
$$
"""
ENQUEUE_SYSTEM = f"""
CREATE FUNCTION ragstore_enqueue_system_job(
    new_id uuid, job_kind text, job_payload jsonb, job_priority integer, delay interval, duplicate_of text,
    most_attempts integer
) RETURNS uuid LANGUAGE sql VOLATILE SECURITY DEFINER {SAFE}
AS $$
    SELECT public.ragstore_enqueue_job(
        {NOBODY}, new_id, job_kind, job_payload, job_priority, delay, duplicate_of, most_attempts)
$$
"""
# Attempts are counted here, so that a job whose worker dies each time comes to an end too.
CLAIM = f"""
CREATE FUNCTION ragstore_claim_jobs(kinds text[], claimer text, lease interval, most integer)
RETURNS TABLE (tenant_id uuid, id uuid, kind text, payload jsonb, attempts integer, max_attempts integer, fence bigint)
LANGUAGE sql VOLATILE SECURITY DEFINER {SAFE}
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
            state = CASE WHEN j.attempts < j.max_attempts THEN 'running' ELSE 'failed' END,
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
NEXT = f"""
CREATE FUNCTION ragstore_next_job(kinds text[]) RETURNS double precision
LANGUAGE sql VOLATILE SECURITY DEFINER {SAFE}
AS $$
    SELECT extract(epoch FROM least(
        (SELECT min(j.run_at) FROM public.job j WHERE j.state = 'queued' AND j.kind = ANY (kinds)),
        (SELECT min(j.lease_until) FROM public.job j WHERE j.state = 'running' AND j.kind = ANY (kinds))
    ) - clock_timestamp())::double precision
$$
"""
# Rows that a job's own transaction has locked are passed over: nobody can claim them meanwhile, and one long
# transaction must not keep the other leases of its worker from being renewed. They still count as held.
RENEW = f"""
CREATE FUNCTION ragstore_renew_jobs(claimer text, ids uuid[], lease interval)
RETURNS TABLE (tenant_id uuid, id uuid, fence bigint)
LANGUAGE sql VOLATILE SECURITY DEFINER {SAFE}
AS $$
    WITH free AS MATERIALIZED (
        SELECT j.tenant_id, j.id FROM public.job j
        WHERE j.state = 'running' AND j.worker = claimer AND j.id = ANY (ids) FOR UPDATE SKIP LOCKED
    ), renewed AS (
        UPDATE public.job j SET lease_until = now() + lease
        FROM free f WHERE j.tenant_id = f.tenant_id AND j.id = f.id
    )
    SELECT j.tenant_id, j.id, j.fence FROM public.job j WHERE j.state = 'running' AND j.worker = claimer
$$
"""
RELEASE = f"""
CREATE FUNCTION ragstore_release_jobs(claimer text) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER {SAFE}
AS $$
    WITH released AS (
        UPDATE public.job j SET
            state = CASE WHEN held.again THEN 'cancelled' ELSE 'queued' END,
            finished_at = CASE WHEN held.again THEN now() END,
            attempts = j.attempts - 1, fence = j.fence + 1, worker = NULL, lease_until = NULL, updated_at = now()
        FROM (
            SELECT k.tenant_id, k.id, k.dedupe_key IS NOT NULL AND (EXISTS (
                SELECT FROM public.job q WHERE q.tenant_id = k.tenant_id AND q.kind = k.kind
                AND q.dedupe_key = k.dedupe_key AND q.state = 'queued'
            ) OR row_number() OVER (PARTITION BY k.tenant_id, k.kind, k.dedupe_key ORDER BY k.id) > 1) AS again
            FROM public.job k WHERE k.state = 'running' AND k.worker = claimer
        ) held
        WHERE j.tenant_id = held.tenant_id AND j.id = held.id AND j.state = 'running' AND j.worker = claimer
        RETURNING pg_notify('ragstore_job', '')
    )
    SELECT count(*) FROM released
$$
"""
FUNCTIONS = {  # name and argument types: statement
    "ragstore_enqueue_job(uuid, uuid, text, jsonb, integer, interval, text, integer)": ENQUEUE,
    "ragstore_enqueue_system_job(uuid, text, jsonb, integer, interval, text, integer)": ENQUEUE_SYSTEM,
    "ragstore_claim_jobs(text[], text, interval, integer)": CLAIM,
    "ragstore_next_job(text[])": NEXT,
    "ragstore_renew_jobs(text, uuid[], interval)": RENEW,
    "ragstore_release_jobs(text)": RELEASE,
}
# What a sweep deletes, of all tenants: table and condition. `older` is how long ago it was over.
SWEEPS = {
    "chat_session": "t.expires_at < now() - older",
    "api_key": "least(coalesce(t.revoked_at, 'infinity'), coalesce(t.expires_at, 'infinity')) < now() - older",
    "job": f"t.finished_at < now() - older OR (t.tenant_id = {NOBODY} AND t.finished_at < now() - interval '1 hour')",
    "embedding_cache": "t.created_at < now() - older",
    "idempotency_record": "t.created_at < now() - older",
}


def sweep_function(table: str) -> str:
    return f"ragstore_sweep_{table}(interval, integer)"


def sweep_statement(table: str, condition: str) -> str:
    return f"""
CREATE FUNCTION ragstore_sweep_{table}(older interval, most integer) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER {SAFE}
AS $$
    WITH gone AS (
        DELETE FROM public.{table} x WHERE x.ctid = ANY (ARRAY(
            SELECT t.ctid FROM public.{table} t WHERE older >= interval '0' AND ({condition})
            LIMIT most FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$
"""


def upgrade() -> None:
    change_tables()
    app, definer = context.config.attributes["app_role"], context.config.attributes["definer_role"]
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON job TO {definer}")
    for table in SWEEPS:
        if table != "api_key":  # has it since 0002
            op.execute(f"CREATE POLICY across_tenants ON {table} TO {definer} USING (true) WITH CHECK (true)")
        op.execute(f"GRANT SELECT, UPDATE, DELETE ON {table} TO {definer}")
    statements = FUNCTIONS | {sweep_function(table): sweep_statement(table, SWEEPS[table]) for table in SWEEPS}
    op.execute(f"GRANT CREATE ON SCHEMA public TO {definer}")
    for name, statement in statements.items():
        op.execute(statement)
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        op.execute(f"ALTER FUNCTION {name} OWNER TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    for name in statements:
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO {app}")
    op.execute("RESET ROLE")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {definer}")


def change_tables() -> None:
    op.add_column("job", sa.Column("dedupe_key", sa.Text(), nullable=True))
    op.add_column("job", sa.Column("message", sa.Text(), nullable=True))
    op.add_column("job", sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.create_index(
        "uq_job_waiting",
        "job",
        ["tenant_id", "kind", "dedupe_key"],
        unique=True,
        postgresql_where=sa.text("state = 'queued' AND dedupe_key IS NOT NULL"),
    )
    op.create_index("ix_job_finished", "job", ["finished_at"], postgresql_where=sa.text("finished_at IS NOT NULL"))
    op.create_index(
        "ix_chat_session_expiry", "chat_session", ["expires_at"], postgresql_where=sa.text("expires_at IS NOT NULL")
    )
    # Each job is several versions of its row: without this the queue's indexes grow with what is long done.
    op.execute("ALTER TABLE job SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500)")


def downgrade() -> None:
    definer = context.config.attributes["definer_role"]
    for name in (*map(sweep_function, SWEEPS), *reversed(FUNCTIONS)):
        op.execute(f"DROP FUNCTION {name}")
    for table in SWEEPS:
        op.execute(f"REVOKE ALL ON {table} FROM {definer}")
        if table == "api_key":
            op.execute(f"GRANT SELECT, UPDATE ON {table} TO {definer}")
        else:
            op.execute(f"DROP POLICY across_tenants ON {table}")
    op.execute("ALTER TABLE job RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)")
    op.drop_index("ix_chat_session_expiry", table_name="chat_session")
    op.drop_index("ix_job_finished", table_name="job")
    op.drop_index("uq_job_waiting", table_name="job")
    for column in ("result", "message", "dedupe_key"):
        op.drop_column("job", column)
