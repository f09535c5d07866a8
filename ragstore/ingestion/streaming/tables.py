import uuid
from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, LargeBinary, Text, text
from sqlmodel import BigInteger, Field, SQLModel

from ragstore.columns import tenant_key, timestamp_now


def count() -> int:
    field: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    return field


class ImportPosition(SQLModel, table=True):
    """How far an import has come that its caller named: the first `lines` lines are stored, `digest` tells them from
    those of another file. `claim` is the request that imports now; one that lost it commits nothing more.
    """

    __tablename__ = "import_position"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "collection_id"], ["collection.tenant_id", "collection.id"], ondelete="CASCADE"
        ),
    )

    tenant_id: uuid.UUID = tenant_key()
    collection_id: uuid.UUID = Field(primary_key=True)
    name: str = Field(primary_key=True, sa_type=Text(collation="C"))
    lines: int = count()
    created: int = count()
    updated: int = count()
    unchanged: int = count()
    failed: int = count()
    chunks: int = count()
    digest: bytes = Field(sa_type=LargeBinary)
    claim: uuid.UUID | None = None
    updated_at: datetime = timestamp_now()
