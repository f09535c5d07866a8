"""The kinds of files there are."""

from enum import Enum

OFFICE = "application/vnd.openxmlformats-officedocument"


class Kind(Enum):
    """The value is the media type."""

    PDF = "application/pdf"
    DOCX = f"{OFFICE}.wordprocessingml.document"
    PPTX = f"{OFFICE}.presentationml.presentation"
    XLSX = f"{OFFICE}.spreadsheetml.sheet"
    DOC = "application/msword"
    PPT = "application/vnd.ms-powerpoint"
    XLS = "application/vnd.ms-excel"
    MSG = "application/vnd.ms-outlook"
    ODT = "application/vnd.oasis.opendocument.text"
    EPUB = "application/epub+zip"
    RTF = "application/rtf"
    HTML = "text/html"
    EML = "message/rfc822"
    IPYNB = "application/x-ipynb+json"
    CSV = "text/csv"
    JSON = "application/json"
    XML = "application/xml"
    MARKDOWN = "text/markdown"
    TEXT = "text/plain"


# Read by the standard library; the others need the extra `files`.
WITHOUT_EXTRA = frozenset({Kind.EML, Kind.IPYNB, Kind.CSV, Kind.JSON, Kind.XML, Kind.MARKDOWN, Kind.TEXT})
TEXTS = WITHOUT_EXTRA | {Kind.HTML}
