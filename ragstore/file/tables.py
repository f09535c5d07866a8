import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, LargeBinary, text
from sqlmodel import BigInteger, Field, SQLModel

from ragstore.columns import json_object, long_text, server_id, tenant_key, timestamp_now


class File(SQLModel, table=True):
    """Uploaded bytes as they came; may stand behind documents of several collections, or none.

    One that is not to be kept goes when no document stands on it and no job has need of it.
    `metadata` is what the file says of itself; `asked` is the digest of how it was to become a document.
    """

    __table_args__ = (ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),)

    tenant_id: uuid.UUID = tenant_key()
    id: uuid.UUID = server_id()
    name: str = long_text()
    media_type: str = long_text()
    size: int = Field(sa_type=BigInteger)
    digest: bytes = Field(sa_type=LargeBinary)
    content: bytes = Field(sa_type=LargeBinary)
    keep: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    meta: dict[str, Any] = json_object()
    asked: bytes | None = Field(default=None, sa_type=LargeBinary)
    created_at: datetime = timestamp_now()
