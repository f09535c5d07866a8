"""Sessions expire, are archived, forked and summed up; answers keep what they were made from."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

MINE = "nullif(current_setting('app.tenant', true), '')::uuid"
SESSION_COLUMNS: dict[str, Any] = {
    "idle_days": sa.Integer(),
    "archived_at": sa.DateTime(timezone=True),
    "forked_from": sa.Uuid(),
    "forked_at": sa.Integer(),
    "summary": sa.Text(),
    "summary_model": sa.Text(),
}
COUNTERS = ("summary_until",)
MESSAGE_COLUMNS: dict[str, Any] = {
    "latency_ms": sa.Integer(),
    "edited_at": sa.DateTime(timezone=True),
    "deleted_at": sa.DateTime(timezone=True),
}


def upgrade() -> None:
    for name, type_ in SESSION_COLUMNS.items():
        op.add_column("chat_session", sa.Column(name, type_, nullable=True))
    for name in COUNTERS:
        op.add_column("chat_session", sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_check_constraint(op.f("ck_chat_session_idle_days"), "chat_session", "idle_days > 0")
    index_sessions()
    for name, type_ in MESSAGE_COLUMNS.items():
        op.add_column("chat_message", sa.Column(name, type_, nullable=True))
    op.add_column("chat_message", sa.Column("state", sa.Text(), server_default=sa.text("'complete'"), nullable=False))
    op.create_check_constraint(op.f("ck_chat_message_state"), "chat_message", "state IN ('complete', 'incomplete')")
    op.create_index("ix_chat_message_time", "chat_message", ["tenant_id", "session_id", "created_at", "id"])
    op.create_index(
        "ix_chat_message_system",
        "chat_message",
        ["tenant_id", "session_id", "position"],
        postgresql_where=sa.text("role = 'system'"),
    )
    create_retrieval()


def index_sessions() -> None:
    op.create_foreign_key(
        "fk_chat_session_forked_from",
        "chat_session",
        "chat_session",
        ["tenant_id", "forked_from"],
        ["tenant_id", "id"],
        ondelete="SET NULL (forked_from)",
    )
    op.create_index(
        "ix_chat_session_forked_from",
        "chat_session",
        ["tenant_id", "forked_from"],
        postgresql_where=sa.text("forked_from IS NOT NULL"),
    )
    op.drop_index("ix_chat_session_user", "chat_session")
    op.create_index("ix_chat_session_user", "chat_session", ["tenant_id", "user_id", "last_message_at", "id"])


def create_retrieval() -> None:
    app = context.config.attributes["app_role"]
    op.create_table(
        "chat_retrieval",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("collections", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("search", postgresql.JSONB(), nullable=False),
        sa.Column("passages", postgresql.JSONB(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "message_id"],
            ["chat_message.tenant_id", "chat_message.id"],
            name=op.f("fk_chat_retrieval_chat_message"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "message_id", name=op.f("pk_chat_retrieval")),
    )
    op.execute("ALTER TABLE chat_retrieval ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE chat_retrieval FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY one_tenant ON chat_retrieval USING (tenant_id = {MINE}) WITH CHECK (tenant_id = {MINE})")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON chat_retrieval TO {app}")


def downgrade() -> None:
    op.drop_table("chat_retrieval")
    op.drop_constraint(op.f("ck_chat_message_state"), "chat_message")
    op.drop_index("ix_chat_message_system", "chat_message")
    op.drop_index("ix_chat_message_time", "chat_message")
    for name in ("state", *MESSAGE_COLUMNS):
        op.drop_column("chat_message", name)
    op.drop_index("ix_chat_session_user", "chat_session")
    op.create_index("ix_chat_session_user", "chat_session", ["tenant_id", "user_id"])
    op.drop_index("ix_chat_session_forked_from", "chat_session")
    op.drop_constraint("fk_chat_session_forked_from", "chat_session", type_="foreignkey")
    op.drop_constraint(op.f("ck_chat_session_idle_days"), "chat_session")
    for name in (*COUNTERS, *SESSION_COLUMNS):
        op.drop_column("chat_session", name)
