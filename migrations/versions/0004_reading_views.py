"""Views to read in a schema of their own: for reports and ad-hoc SQL, behind the same walls as the tables.

Postgres refuses to drop or retype a column that a view shows: a later revision that does so drops the view first and
makes it anew.
"""

from alembic import context, op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# What a reader may see of each table: no password, no digest, no uploaded bytes, no vector, no job's payload.
READABLE = {
    "app_user": "tenant_id, id, email, name, is_active, metadata, created_at, updated_at",
    "api_key": "tenant_id, id, name, prefix, scopes, expires_at, revoked_at, last_used_at, created_at",
    "embedding_model": "tenant_id, id, name",
    "collection": "tenant_id, id, name, title, model_id, language, chunk_size, chunk_overlap, metadata,"
    " document_count, chunk_count, created_at, updated_at",
    "file": "tenant_id, id, name, media_type, size, created_at",
    "document": "tenant_id, id, collection_id, key, title, source, url, content, metadata, version, chunk_count,"
    " file_id, created_at, updated_at",
    "chunk": "tenant_id, id, collection_id, document_id, ordinal, content, start_offset, end_offset, token_count",
    "chat_session": "tenant_id, id, user_id, key, title, metadata, message_count, expires_at, last_message_at,"
    " created_at, updated_at",
    "chat_message": "tenant_id, session_id, position, id, role, content, tokens_used, model, citations, metadata,"
    " created_at",
    "job": "tenant_id, id, kind, state, priority, counts, message, result, error, attempts, max_attempts, run_at,"
    " created_at, updated_at, finished_at",
}

# name: (what it shows, the query). No semicolons, no parameters: pg_dump writes them down as they are.
VIEWS = {
    "users": (
        "People, without their passwords.",
        "SELECT tenant_id, id, email, name, is_active, metadata, created_at, updated_at FROM public.app_user",
    ),
    "keys": (
        "API keys, without what would let anybody use them.",
        "SELECT tenant_id, id, name,"
        " CASE WHEN prefix LIKE 'rs\\_%' THEN prefix ELSE 'chosen' END AS prefix,"
        " scopes, expires_at, revoked_at, last_used_at, created_at"
        " FROM public.api_key",
    ),
    "collections": (
        "Collections with the name of their embedding model.",
        """SELECT c.tenant_id, c.id, c.name, c.title, m.name AS embedding_model, c.language, c.chunk_size,
            c.chunk_overlap, c.metadata, c.document_count, c.chunk_count, c.created_at, c.updated_at
        FROM public.collection c
        JOIN public.embedding_model m ON m.tenant_id = c.tenant_id AND m.id = c.model_id""",
    ),
    "files": (
        "Uploaded files, without their bytes.",
        "SELECT tenant_id, id, name, media_type, size, created_at FROM public.file",
    ),
    "documents": (
        "Documents with the name of their collection.",
        """SELECT d.tenant_id, d.id, c.name AS collection, d.key, d.title, d.source, d.url, d.content, d.metadata,
            d.version, d.chunk_count, d.file_id, d.created_at, d.updated_at
        FROM public.document d
        JOIN public.collection c ON c.tenant_id = d.tenant_id AND c.id = d.collection_id""",
    ),
    "chunks": (
        "Passages with the key of their document, without their vectors.",
        """SELECT k.tenant_id, k.id, c.name AS collection, k.document_id, d.key AS document_key, k.ordinal,
            k.content, k.start_offset, k.end_offset, k.token_count
        FROM public.chunk k
        JOIN public.document d ON d.tenant_id = k.tenant_id AND d.id = k.document_id
        JOIN public.collection c ON c.tenant_id = d.tenant_id AND c.id = d.collection_id""",
    ),
    "sessions": (
        "Chat sessions with the e-mail address of their user.",
        """SELECT s.tenant_id, s.id, s.key, s.title, s.user_id, u.email AS user_email, s.metadata, s.message_count,
            s.expires_at, s.last_message_at, s.created_at, s.updated_at
        FROM public.chat_session s
        LEFT JOIN public.app_user u ON u.tenant_id = s.tenant_id AND u.id = s.user_id""",
    ),
    "messages": (
        "Chat messages with the key of their session.",
        """SELECT m.tenant_id, m.id, m.session_id, s.key AS session_key, m.position, m.role, m.content,
            m.tokens_used, m.model, m.citations, m.metadata, m.created_at
        FROM public.chat_message m
        JOIN public.chat_session s ON s.tenant_id = m.tenant_id AND s.id = m.session_id""",
    ),
    "jobs": (
        "Work that is waiting, under way or done, without its payload.",
        """SELECT tenant_id, id, kind, state, priority, counts, message, result, error, attempts, max_attempts, run_at,
            created_at, updated_at, finished_at
        FROM public.job""",
    ),
    "collection_sizes": (
        "How much each collection holds, counted when asked: documents, passages, tokens, bytes of text.",
        """SELECT c.tenant_id, c.name AS collection, d.documents, d.bytes, k.chunks, k.tokens
        FROM public.collection c
        CROSS JOIN LATERAL (SELECT count(*) AS documents, coalesce(sum(octet_length(content)), 0)::bigint AS bytes
            FROM public.document WHERE tenant_id = c.tenant_id AND collection_id = c.id) d
        CROSS JOIN LATERAL (SELECT count(*) AS chunks, coalesce(sum(token_count), 0)::bigint AS tokens
            FROM public.chunk WHERE tenant_id = c.tenant_id AND collection_id = c.id) k""",
    ),
    "messages_per_day": (
        "Messages and the tokens they used, by UTC day, role and model.",
        """SELECT tenant_id, (created_at AT TIME ZONE 'UTC')::date AS day, role, model, count(*) AS messages,
            coalesce(sum(tokens_used), 0)::bigint AS tokens_used, count(DISTINCT session_id) AS sessions
        FROM public.chat_message
        GROUP BY 1, 2, 3, 4""",
    ),
    "jobs_by_state": (
        "How many jobs of each kind are in each state, and since when the oldest of them waits.",
        """SELECT tenant_id, kind, state, count(*) AS jobs, min(created_at) AS oldest, max(updated_at) AS last_change
        FROM public.job
        GROUP BY 1, 2, 3""",
    ),
}


def upgrade() -> None:
    app, reader = context.config.attributes["app_role"], context.config.attributes["reader_role"]
    op.execute(f"GRANT USAGE ON SCHEMA public TO {reader}")
    for table, columns in READABLE.items():
        op.execute(f"GRANT SELECT ({columns}) ON {table} TO {reader}")
    op.execute("CREATE SCHEMA ragstore")
    op.execute(f"GRANT USAGE ON SCHEMA ragstore TO {app}, {reader}")
    for name, (shows, query) in VIEWS.items():
        # As whoever asks: the walls of the tables stand. Otherwise a view reads as its owner.
        op.execute(f"CREATE VIEW ragstore.{name} WITH (security_invoker = true) AS {query}")
        op.execute(f"COMMENT ON VIEW ragstore.{name} IS '{shows}'")
        op.execute(f"GRANT SELECT ON ragstore.{name} TO {app}, {reader}")


def downgrade() -> None:
    reader = context.config.attributes["reader_role"]
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW ragstore.{name}")
    op.execute("DROP SCHEMA ragstore")
    for table, columns in READABLE.items():
        op.execute(f"REVOKE SELECT ({columns}) ON {table} FROM {reader}")
    op.execute(f"REVOKE USAGE ON SCHEMA public FROM {reader}")
