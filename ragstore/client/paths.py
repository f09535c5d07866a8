"""How names and filters are written into an address."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

Filter = Mapping[str, Any]


def collection_path(name: str) -> str:
    return f"/v1/collections/{quote(name, safe='')}"


def to_json(filter: Filter | None) -> str | None:
    return None if filter is None else msgspec.json.encode(filter).decode()
