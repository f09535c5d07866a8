"""Forced row-level security on every tenant table, cross-tenant functions, and records of idempotent requests."""

import sqlalchemy as sa
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
    "idempotency_record",
)
# No sub-select: it fails on a distributed table. After a transaction the setting is '', not NULL.
MINE = "nullif(current_setting('app.tenant', true), '')::uuid"

FIND_KEY = """
CREATE FUNCTION ragstore_find_key(wanted text)
RETURNS TABLE (tenant_id uuid, id uuid, digest bytea, scopes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT k.tenant_id, k.id, k.digest, k.scopes FROM public.api_key k
    WHERE k.prefix = wanted AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
$$
"""
# Only who holds the whole key, and so its digest, can say that it was used.
NOTE_USE = """
CREATE FUNCTION ragstore_note_key_use(wanted text, held bytea) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    UPDATE public.api_key k SET last_used_at = now()
    WHERE k.prefix = wanted AND k.digest = held
      AND (k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute')
$$
"""
LIST_TENANTS = """
CREATE FUNCTION ragstore_list_tenants()
RETURNS TABLE (id uuid, name text, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT t.id, t.name, t.created_at FROM public.tenant t ORDER BY t.name $$
"""
FUNCTIONS = {
    "ragstore_find_key(text)": FIND_KEY,
    "ragstore_note_key_use(text, bytea)": NOTE_USE,
    "ragstore_list_tenants()": LIST_TENANTS,
}


def upgrade() -> None:
    app, definer = context.config.attributes["app_role"], context.config.attributes["definer_role"]
    op.execute(f"GRANT USAGE ON SCHEMA public TO {app}, {definer}")
    create_idempotency_record()
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
    for name, statement in FUNCTIONS.items():
        op.execute(statement)
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        op.execute(f"ALTER FUNCTION {name} OWNER TO {definer}")
    owner = op.get_bind().scalar(sa.text("SELECT quote_ident(current_user)"))
    op.execute(f"SET LOCAL ROLE {definer}")  # rights given before would have gone to the new owner with the function
    op.execute(f"GRANT EXECUTE ON FUNCTION ragstore_find_key(text) TO {app}, {owner}")
    op.execute(f"GRANT EXECUTE ON FUNCTION ragstore_note_key_use(text, bytea) TO {app}, {owner}")
    op.execute(f"GRANT EXECUTE ON FUNCTION ragstore_list_tenants() TO {owner}")
    op.execute("RESET ROLE")
    op.execute(f"REVOKE CREATE ON SCHEMA public FROM {definer}")


def create_idempotency_record() -> None:
    op.create_table(
        "idempotency_record",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("api_key_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("claim", sa.Uuid(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('running', 'done')", name=op.f("ck_idempotency_record_state")),
        sa.PrimaryKeyConstraint("tenant_id", "api_key_id", "key", name=op.f("pk_idempotency_record")),
    )
    op.create_index("ix_idempotency_record_age", "idempotency_record", ["created_at"])


def protect(table: str, column: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY one_tenant ON {table} USING ({column} = {MINE}) WITH CHECK ({column} = {MINE})")


def downgrade() -> None:
    app, definer = context.config.attributes["app_role"], context.config.attributes["definer_role"]
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}")
    for table in ("tenant", "api_key"):
        op.execute(f"DROP POLICY across_tenants ON {table}")
        op.execute(f"REVOKE ALL ON {table} FROM {definer}")
    for table in (*TABLES, "tenant"):
        op.execute(f"DROP POLICY one_tenant ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"REVOKE ALL ON {table} FROM {app}")
    op.drop_table("idempotency_record")
    op.execute(f"REVOKE ALL ON alembic_version FROM {app}")
    op.execute(f"REVOKE USAGE ON SCHEMA public FROM {app}, {definer}")
