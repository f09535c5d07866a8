"""Forced row-level security on every tenant table; what crosses tenants goes through named functions."""

from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = (
    "app_user",
    "api_key",
    "embedding_model",
    "collection",
    "file",
    "document",
    "chunk",
    "embedding",
    "embedding_cache",
    "job",
    "chat_session",
    "chat_message",
)
# No sub-select: it fails on a distributed table. After a transaction the setting is '', not NULL.
MINE = "nullif(current_setting('app.tenant', true), '')::uuid"

FIND_KEY = """
CREATE FUNCTION ragstore_find_key(wanted text)
RETURNS TABLE (tenant_id uuid, id uuid, digest bytea, scopes text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE public.api_key k SET last_used_at = now()
    WHERE k.prefix = wanted AND (k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute');
    RETURN QUERY SELECT k.tenant_id, k.id, k.digest, k.scopes FROM public.api_key k
    WHERE k.prefix = wanted AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
END
$$
"""
LIST_TENANTS = """
CREATE FUNCTION ragstore_list_tenants()
RETURNS TABLE (id uuid, name text, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT t.id, t.name, t.created_at FROM public.tenant t ORDER BY t.name $$
"""


def upgrade() -> None:
    app, definer = context.config.attributes["app_role"], context.config.attributes["definer_role"]
    op.execute(f"GRANT USAGE ON SCHEMA public TO {app}, {definer}")
    for table in TABLES:
        protect(table, "tenant_id")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {app}")
    protect("tenant", "id")
    op.execute(f"GRANT SELECT ON tenant, alembic_version TO {app}")
    for table, rights in (("tenant", "SELECT"), ("api_key", "SELECT, UPDATE")):
        op.execute(f"CREATE POLICY across_tenants ON {table} TO {definer} USING (true) WITH CHECK (true)")
        op.execute(f"GRANT {rights} ON {table} TO {definer}")
    # A function is handed over only to a role that may create in its schema, and only for that moment.
    op.execute(f"GRANT CREATE ON SCHEMA public TO {definer}")
    for name, statement in (("ragstore_find_key(text)", FIND_KEY), ("ragstore_list_tenants()", LIST_TENANTS)):
        op.execute(statement)
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO CURRENT_USER")
        op.execute(f"ALTER FUNCTION {name} OWNER TO {definer}")
    op.execute(f"SET LOCAL ROLE {definer}")
    op.execute(f"GRANT EXECUTE ON FUNCTION ragstore_find_key(text) TO {app}")
    op.execute("RESET ROLE")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {definer}")


def protect(table: str, column: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY one_tenant ON {table} USING ({column} = {MINE}) WITH CHECK ({column} = {MINE})")


def downgrade() -> None:
    app, definer = context.config.attributes["app_role"], context.config.attributes["definer_role"]
    op.execute("DROP FUNCTION ragstore_list_tenants()")
    op.execute("DROP FUNCTION ragstore_find_key(text)")
    for table in ("tenant", "api_key"):
        op.execute(f"DROP POLICY across_tenants ON {table}")
        op.execute(f"REVOKE ALL ON {table} FROM {definer}")
    for table in (*TABLES, "tenant"):
        op.execute(f"DROP POLICY one_tenant ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"REVOKE ALL ON {table} FROM {app}")
    op.execute(f"REVOKE ALL ON alembic_version FROM {app}")
    op.execute(f"REVOKE USAGE ON SCHEMA public FROM {app}, {definer}")
