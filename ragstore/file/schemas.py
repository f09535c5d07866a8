from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


class FileRead(msgspec.Struct):
    """Uploaded bytes, as they came: `size` in bytes, `digest` their SHA-256 in hexadecimal digits. `metadata` is what
    the file says of itself: its authors, dates, how many pages it has.
    """

    id: UUID
    name: str
    media_type: str
    size: int
    digest: str
    metadata: dict[str, Any]
    created_at: datetime
