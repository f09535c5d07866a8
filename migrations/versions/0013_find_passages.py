"""Searching by words asks whose the passages are once, and no longer of every passage: a quarter of the time."""

from alembic import context, op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

MINE = "nullif(current_setting('app.tenant', true), '')::uuid"
FIND = """
CREATE OR REPLACE FUNCTION ragstore_find_passages(collection uuid, wanted tsquery, weights sparsevec, most bigint)
RETURNS TABLE (chunk_id uuid, document_id uuid, score double precision)
LANGUAGE plpgsql STABLE ROWS 200 SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
{declared}BEGIN
    RETURN QUERY
    SELECT t.chunk_id, t.document_id, -(t.weights <#> ragstore_find_passages.weights)
    FROM public.passage_terms t
    WHERE t.tenant_id = {mine} AND t.collection_id = collection AND t.terms @@ wanted
    ORDER BY 3 DESC, 1 LIMIT most;
END
$$
"""


def upgrade() -> None:
    replace_function(FIND.format(declared=f"DECLARE\n    mine uuid := {MINE};\n", mine="mine"))


def downgrade() -> None:
    replace_function(FIND.format(declared="", mine=MINE))


def replace_function(statement: str) -> None:
    """As its owner, who keeps it."""
    definer = context.config.attributes["definer_role"]
    op.execute(f"GRANT CREATE ON SCHEMA public TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(statement)
    op.execute("RESET ROLE")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {definer}")
