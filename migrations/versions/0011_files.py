"""Files say what is known of them, and with which fields they were asked to become a document."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("file", sa.Column("metadata", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False))
    op.add_column("file", sa.Column("asked", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("file", "asked")
    op.drop_column("file", "metadata")
