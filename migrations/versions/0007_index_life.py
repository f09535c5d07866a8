"""Collections choose whether their codes have an index of their own; the sweep sees whose is missing or stale."""

import sqlalchemy as sa
from alembic import context, op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# What an index is for is read from its predicate: that is there from its first moment, and what the planner goes by.
LIST_WORK = """
CREATE FUNCTION ragstore_list_index_work(threshold bigint)
RETURNS TABLE (tenant_id uuid, collection_id uuid, model_id smallint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH present AS (
        SELECT substring(p.predicate FROM 'tenant_id = ''([0-9a-f-]{36})''')::uuid AS tenant_id,
               substring(p.predicate FROM 'collection_id = ''([0-9a-f-]{36})''')::uuid AS collection_id,
               substring(p.predicate FROM 'model_id = ''([0-9]+)''')::smallint AS model_id,
               p.valid
        FROM (
            SELECT pg_get_expr(i.indpred, i.indrelid) AS predicate, i.indisvalid AS valid
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            WHERE i.indrelid = 'public.embedding'::regclass AND c.relname LIKE 'ix\\_embedding\\_hnsw\\_%'
        ) p
    ), work AS (
        SELECT coalesce(k.tenant_id, p.tenant_id) AS tenant_id, coalesce(k.id, p.collection_id) AS collection_id,
               coalesce(k.model_id, p.model_id) AS model_id
        FROM public.collection k FULL JOIN present p
          ON p.tenant_id = k.tenant_id AND p.collection_id = k.id AND p.model_id = k.model_id
        WHERE CASE
            WHEN k.index_mode = 'on' OR k.index_mode = 'auto' AND k.chunk_count >= greatest(threshold, 1)
              OR k.index_mode = 'auto' AND p.valid IS NOT NULL AND 2 * k.chunk_count >= threshold
            THEN p.valid IS NOT TRUE
            ELSE p.tenant_id IS NOT NULL AND p.collection_id IS NOT NULL AND p.model_id IS NOT NULL
        END
    )
    SELECT w.tenant_id, w.collection_id, w.model_id FROM work w
    WHERE NOT EXISTS (  -- what has just failed would fail again
        SELECT FROM public.job j
        WHERE j.finished_at > now() - interval '1 hour' AND j.tenant_id = w.tenant_id AND j.kind = 'index'
          AND j.dedupe_key = w.collection_id || ' ' || w.model_id AND j.state = 'failed'
    )
$$
"""
NAME = "ragstore_list_index_work(bigint)"


def upgrade() -> None:
    app, definer = context.config.attributes["app_role"], context.config.attributes["definer_role"]
    op.add_column("collection", sa.Column("index_mode", sa.Text(), server_default=sa.text("'auto'"), nullable=False))
    op.create_check_constraint(op.f("ck_collection_index_mode"), "collection", "index_mode IN ('auto', 'on', 'off')")
    op.execute(f"CREATE POLICY across_tenants ON collection FOR SELECT TO {definer} USING (true)")
    op.execute(f"GRANT SELECT (tenant_id, id, model_id, chunk_count, index_mode) ON collection TO {definer}")
    op.execute(f"GRANT CREATE ON SCHEMA public TO {definer}")
    op.execute(LIST_WORK)
    op.execute(f"REVOKE ALL ON FUNCTION {NAME} FROM PUBLIC")
    op.execute(f"ALTER FUNCTION {NAME} OWNER TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(f"GRANT EXECUTE ON FUNCTION {NAME} TO {app}")
    op.execute("RESET ROLE")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {definer}")


def downgrade() -> None:
    definer = context.config.attributes["definer_role"]
    op.execute(f"DROP FUNCTION {NAME}")
    names = op.get_bind().scalars(
        sa.text("""
            SELECT c.oid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            WHERE i.indrelid = 'public.embedding'::regclass AND c.relname LIKE 'ix\\_embedding\\_hnsw\\_%'
        """)
    )
    for name in names.all():
        op.execute(f"DROP INDEX {name}")
    op.execute(f"REVOKE SELECT (tenant_id, id, model_id, chunk_count, index_mode) ON collection FROM {definer}")
    op.execute("DROP POLICY across_tenants ON collection")
    op.drop_constraint(op.f("ck_collection_index_mode"), "collection")
    op.drop_column("collection", "index_mode")
