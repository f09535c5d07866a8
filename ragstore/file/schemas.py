from datetime import datetime
from uuid import UUID

import msgspec


class FileRead(msgspec.Struct):
    """Uploaded bytes, as they came: `size` in bytes, `digest` their SHA-256 in hexadecimal digits."""

    id: UUID
    name: str
    media_type: str
    size: int
    digest: str
    created_at: datetime
