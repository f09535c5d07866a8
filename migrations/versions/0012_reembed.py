"""Collections may have vectors of a second model, while their embedding model is changed."""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

MINE = "nullif(current_setting('app.tenant', true), '')::uuid"
SECOND = {"next_model_id": "fk_collection_next_model", "previous_model_id": "fk_collection_previous_model"}
MODEL = ["embedding_model.tenant_id", "embedding_model.id"]
ONE_SECOND = (
    "(next_model_id IS NULL OR previous_model_id IS NULL)"
    " AND model_id IS DISTINCT FROM coalesce(next_model_id, previous_model_id)"
)
# As in 0007, but for `wanted`: the second model's index is built when its vectors are complete, by whoever fills them.
LIST_WORK = """
CREATE OR REPLACE FUNCTION ragstore_list_index_work(threshold bigint)
RETURNS TABLE (tenant_id uuid, collection_id uuid, model_id smallint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH present AS (
        SELECT substring(p.predicate FROM 'tenant_id = ''([0-9a-f-]{{36}})''')::uuid AS tenant_id,
               substring(p.predicate FROM 'collection_id = ''([0-9a-f-]{{36}})''')::uuid AS collection_id,
               substring(p.predicate FROM 'model_id = ''([0-9]+)''')::smallint AS model_id,
               p.valid
        FROM (
            SELECT pg_get_expr(i.indpred, i.indrelid) AS predicate, i.indisvalid AS valid
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            WHERE i.indrelid = 'public.embedding'::regclass AND c.relname LIKE 'ix\\_embedding\\_hnsw\\_%'
        ) p
    ), wanted AS (
        {wanted}
    ), work AS (
        SELECT coalesce(k.tenant_id, p.tenant_id) AS tenant_id, coalesce(k.id, p.collection_id) AS collection_id,
               coalesce(k.model_id, p.model_id) AS model_id
        FROM wanted k FULL JOIN present p
          ON p.tenant_id = k.tenant_id AND p.collection_id = k.id AND p.model_id = k.model_id
        WHERE CASE
            WHEN k.index_mode = 'on' OR k.index_mode = 'auto' AND k.chunk_count >= greatest(threshold, 1)
              OR k.index_mode = 'auto' AND p.valid IS NOT NULL AND 2 * k.chunk_count >= threshold
            THEN p.valid IS NOT TRUE AND (k.searched OR p.valid IS NOT NULL)
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
SEARCHED = "SELECT tenant_id, id, model_id, index_mode, chunk_count, true AS searched FROM public.collection"
BOTH = f"""{SEARCHED}
        UNION ALL
        SELECT tenant_id, id, coalesce(next_model_id, previous_model_id), index_mode, chunk_count, false
        FROM public.collection WHERE coalesce(next_model_id, previous_model_id) IS NOT NULL"""


def upgrade() -> None:
    definer = context.config.attributes["definer_role"]
    for column, name in SECOND.items():
        op.add_column("collection", sa.Column(column, sa.SmallInteger(), nullable=True))
        op.create_foreign_key(name, "collection", "embedding_model", ["tenant_id", column], ["tenant_id", "id"])
    op.create_check_constraint(op.f("ck_collection_second_model"), "collection", ONE_SECOND)
    create_reembedding()
    op.execute(f"GRANT SELECT (next_model_id, previous_model_id) ON collection TO {definer}")
    replace_function(LIST_WORK.format(wanted=BOTH))


def create_reembedding() -> None:
    op.create_table(
        "reembedding",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("model_from", sa.SmallInteger(), nullable=False),
        sa.Column("model_to", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("switch", sa.Text(), nullable=False),
        sa.Column("keep_old", sa.Boolean(), nullable=False),
        sa.Column("queries", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("overlap", postgresql.JSONB(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("switched_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('filling', 'ready', 'switched', 'dropping')", name="state"),
        sa.CheckConstraint("switch IN ('auto', 'manual')", name="switch"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "collection_id"],
            ["collection.tenant_id", "collection.id"],
            name=op.f("fk_reembedding_collection"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id", "model_from"], MODEL, name="fk_reembedding_model_from"),
        sa.ForeignKeyConstraint(["tenant_id", "model_to"], MODEL, name="fk_reembedding_model_to"),
        sa.PrimaryKeyConstraint("tenant_id", "collection_id", name=op.f("pk_reembedding")),
    )
    op.execute("ALTER TABLE reembedding ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE reembedding FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY one_tenant ON reembedding USING (tenant_id = {MINE}) WITH CHECK (tenant_id = {MINE})")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON reembedding TO {context.config.attributes['app_role']}")


def replace_function(statement: str) -> None:
    """As its owner, who keeps it."""
    definer = context.config.attributes["definer_role"]
    op.execute(f"GRANT CREATE ON SCHEMA public TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(statement)
    op.execute("RESET ROLE")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {definer}")


def downgrade() -> None:
    """Vectors of second models stay where they are: nothing looks at them."""
    definer = context.config.attributes["definer_role"]
    replace_function(LIST_WORK.format(wanted=SEARCHED))
    op.execute(f"REVOKE SELECT (next_model_id, previous_model_id) ON collection FROM {definer}")
    op.drop_table("reembedding")
    op.drop_constraint(op.f("ck_collection_second_model"), "collection", type_="check")
    for column, name in reversed(SECOND.items()):
        op.drop_constraint(name, "collection", type_="foreignkey")
        op.drop_column("collection", column)
