"""How strangers' bytes are handed out: to be saved, under a name that cannot do harm. Pure."""

from urllib.parse import quote

from ragstore.parsing.kinds import Kind

UNKNOWN = "application/octet-stream"
ACTIVE = {Kind.HTML, Kind.XML, Kind.EML}  # a browser might run or render what is in them
SAFE = {one.value for one in Kind if one not in ACTIVE}


def make_headers(name: str, media_type: str) -> tuple[str, dict[str, str]]:
    """The media type that is said, and the headers."""
    plain = "".join(one if one.isascii() and (one.isalnum() or one in " .-_()") else "_" for one in name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    headers = {
        "Content-Disposition": disposition,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
    }
    return (media_type if media_type in SAFE else UNKNOWN), headers
