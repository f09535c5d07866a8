"""the first schema"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from ragstore.columns import Code, Vector

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")
    op.create_table(
        "api_key",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(collation="C"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_api_key")),
    )
    op.create_index("uq_api_key_prefix", "api_key", ["prefix"], unique=True)
    op.create_table(
        "job",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column(
            "payload", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column(
            "counts", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("run_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_job_state")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_job")),
    )
    op.create_index(
        "ix_job_due", "job", ["priority", "run_at", "id"], unique=False, postgresql_where=sa.text("state = 'queued'")
    )
    op.create_index("ix_job_lease", "job", ["lease_until"], unique=False, postgresql_where=sa.text("state = 'running'"))
    op.create_table(
        "tenant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant")),
        sa.UniqueConstraint("name", name=op.f("uq_tenant_name")),
    )
    op.create_table(
        "app_user",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column(
            "metadata", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_app_user_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_app_user")),
    )
    op.create_index("uq_app_user_email", "app_user", ["tenant_id", sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "embedding_model",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("code_version", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_embedding_model_tenant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_embedding_model")),
        sa.UniqueConstraint("tenant_id", "name", name="uq_embedding_model_name"),
    )
    op.create_table(
        "file",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_file_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_file")),
    )
    op.create_table(
        "chat_session",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("key", sa.Text(collation="C"), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column(
            "metadata", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("message_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_message_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["app_user.tenant_id", "app_user.id"],
            name=op.f("fk_chat_session_app_user"),
            ondelete="SET NULL (user_id)",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_chat_session_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_chat_session")),
        sa.UniqueConstraint("tenant_id", "key", name="uq_chat_session_key"),
    )
    op.create_index("ix_chat_session_activity", "chat_session", ["tenant_id", "last_message_at", "id"], unique=False)
    op.create_index("ix_chat_session_user", "chat_session", ["tenant_id", "user_id"], unique=False)
    op.create_table(
        "collection",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("model_id", sa.SmallInteger(), nullable=False),
        sa.Column("chunk_size", sa.Integer(), nullable=False),
        sa.Column("chunk_overlap", sa.Integer(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column(
            "metadata", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("document_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("chunk_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("chunk_overlap < chunk_size", name=op.f("ck_collection_chunk_overlap")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "model_id"],
            ["embedding_model.tenant_id", "embedding_model.id"],
            name=op.f("fk_collection_embedding_model"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_collection_tenant"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_collection")),
        sa.UniqueConstraint("tenant_id", "name", name="uq_collection_name"),
    )
    op.create_table(
        "embedding_cache",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("model_id", sa.SmallInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("vector", Vector(1536), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "model_id"],
            ["embedding_model.tenant_id", "embedding_model.id"],
            name=op.f("fk_embedding_cache_embedding_model"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "model_id", "digest", name=op.f("pk_embedding_cache")),
    )
    op.create_index("ix_embedding_cache_age", "embedding_cache", ["tenant_id", "created_at"], unique=False)
    op.create_table(
        "chat_message",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("parts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("tool_calls", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("tool_call_id", sa.Text(), nullable=True),
        sa.Column("tokens_used", sa.Integer(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("citations", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "metadata", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("role IN ('system', 'user', 'assistant', 'tool')", name=op.f("ck_chat_message_role")),
        sa.CheckConstraint("position > 0", name=op.f("ck_chat_message_position")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["chat_session.tenant_id", "chat_session.id"],
            name=op.f("fk_chat_message_chat_session"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", "position", name=op.f("pk_chat_message")),
        sa.UniqueConstraint("tenant_id", "id", name="uq_chat_message_id"),
    )
    op.create_table(
        "document",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.LargeBinary(), nullable=False),
        sa.Column("record_digest", sa.LargeBinary(), nullable=False),
        sa.Column(
            "metadata", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("chunk_count", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "collection_id"],
            ["collection.tenant_id", "collection.id"],
            name=op.f("fk_document_collection"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id", "file_id"], ["file.tenant_id", "file.id"], name=op.f("fk_document_file")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_document")),
        sa.UniqueConstraint("tenant_id", "collection_id", "key", name="uq_document_key"),
    )
    op.create_index("ix_document_collection", "document", ["tenant_id", "collection_id", "id"], unique=False)
    op.create_index("ix_document_file", "document", ["tenant_id", "file_id"], unique=False)
    op.create_table(
        "chunk",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("start_offset", sa.Integer(), nullable=False),
        sa.Column("end_offset", sa.Integer(), nullable=False),
        sa.Column("token_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "document_id"],
            ["document.tenant_id", "document.id"],
            name=op.f("fk_chunk_document"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_chunk")),
        sa.UniqueConstraint("tenant_id", "document_id", "ordinal", name="uq_chunk_ordinal"),
    )
    op.create_table(
        "embedding",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("chunk_id", sa.Uuid(), nullable=False),
        sa.Column("model_id", sa.SmallInteger(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("vector", Vector(1536), nullable=False),
        sa.Column("code", Code(1536), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "chunk_id"],
            ["chunk.tenant_id", "chunk.id"],
            name=op.f("fk_embedding_chunk"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "model_id"],
            ["embedding_model.tenant_id", "embedding_model.id"],
            name=op.f("fk_embedding_embedding_model"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "chunk_id", "model_id", name=op.f("pk_embedding")),
        postgresql_with={
            "autovacuum_vacuum_insert_scale_factor": 0.02,
            "autovacuum_vacuum_insert_threshold": 5000,
            "autovacuum_vacuum_scale_factor": 0.02,
        },
    )
    op.create_index(
        "ix_embedding_code",
        "embedding",
        ["tenant_id", "collection_id", "model_id"],
        unique=False,
        postgresql_include=["chunk_id", "document_id", "code"],
    )
    # Never out of line nor compressed: a vector is read whole, 2.6 to 3.7 times faster so.
    op.execute("ALTER TABLE embedding ALTER COLUMN vector SET STORAGE PLAIN")


def downgrade() -> None:
    op.drop_index("ix_embedding_code", table_name="embedding", postgresql_include=["chunk_id", "document_id", "code"])
    op.drop_table("embedding")
    op.drop_table("chunk")
    op.drop_index("ix_document_file", table_name="document")
    op.drop_index("ix_document_collection", table_name="document")
    op.drop_table("document")
    op.drop_table("chat_message")
    op.drop_index("ix_embedding_cache_age", table_name="embedding_cache")
    op.drop_table("embedding_cache")
    op.drop_table("collection")
    op.drop_index("ix_chat_session_user", table_name="chat_session")
    op.drop_index("ix_chat_session_activity", table_name="chat_session")
    op.drop_table("chat_session")
    op.drop_table("file")
    op.drop_table("embedding_model")
    op.drop_index("uq_app_user_email", table_name="app_user")
    op.drop_table("app_user")
    op.drop_table("tenant")
    op.drop_index("ix_job_lease", table_name="job", postgresql_where=sa.text("state = 'running'"))
    op.drop_index("ix_job_due", table_name="job", postgresql_where=sa.text("state = 'queued'"))
    op.drop_table("job")
    op.drop_index("uq_api_key_prefix", table_name="api_key")
    op.drop_table("api_key")
