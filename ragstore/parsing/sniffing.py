"""The kind of a file by its content. Its name decides only between kinds of text, which look alike."""

import json
import re
from pathlib import PurePosixPath

from ragstore.errors import FileDamaged, FileEmpty, FileUnsupported
from ragstore.parsing.containers import look_into_ole, look_into_zip
from ragstore.parsing.decoding import Decoded, decode
from ragstore.parsing.kinds import Kind

HEAD = 2048
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PDF = b"%PDF-"
PDF_PARTS = (b"startxref", b"endobj", b"endstream")
REFUSED = {  # what has no business here, by its first bytes, so that the refusal can say what it is
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"\x89PNG\r\n\x1a\n": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"II*\x00": "an image",
    b"MM\x00*": "an image",
    b"\x7fELF": "a program",
    b"MZ\x90\x00": "a program",
}
HEADER = re.compile(
    r"^(from|to|cc|subject|date|received|return-path|message-id|mime-version|delivered-to|content-type|reply-to):",
    re.IGNORECASE | re.MULTILINE,
)
ANY_HEADER = re.compile(r"^[\x21-\x39\x3b-\x7e]+:")
NEXT_MESSAGE = re.compile(r"\n\r?\nFrom \S+ .*\d{4}\r?\n[\x21-\x39\x3b-\x7e]+:")
# A comment ends at its first end: otherwise a text of comments takes time that doubles with each of them.
HTML = re.compile(
    r"\s*(<\?xml[^>]*\?>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(!doctype\s+html|html|head|body|title|meta|div|table|h[1-6]|p)\b",
    re.IGNORECASE | re.DOTALL,
)
XML = re.compile(r"\s*(<\?xml\b|<!DOCTYPE\b|<!ENTITY\b)", re.IGNORECASE)
TEXT_NAMES = {
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".csv": Kind.CSV,
    ".tsv": Kind.CSV,
}
BINARY_NAMES = (".docx", ".docm", ".pptx", ".xlsx", ".odt", ".epub", ".pdf", ".doc", ".xls", ".ppt", ".msg")
PLAIN_NAMES = (".txt", ".text", ".log", ".py", ".md", ".markdown", ".csv", ".tsv")


def sniff(data: bytes, name: str = "") -> tuple[Kind, Decoded | None]:
    """The kind, and the text of kinds of text. Raises FileEmpty, FileUnsupported for what is not read, and what
    `containers` raises.
    """
    if not data.strip():
        raise FileEmpty("The file is empty.")
    kind = tell_binary(data)
    if kind is not None:
        return kind, None
    decoded = decode(data)
    if not decoded.text.strip():
        raise FileEmpty("The file holds nothing but white space.")
    return tell_text(decoded.text, PurePosixPath(name.lower()).suffix), decoded


def tell_binary(data: bytes) -> Kind | None:
    for start, what in REFUSED.items():
        if data.startswith(start):
            raise FileUnsupported(f"The file is {what}; those are not read.")
    if is_pdf(data):
        return Kind.PDF
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return look_into_zip(data)
    if data.startswith(OLE):
        return look_into_ole(data)
    return Kind.RTF if data.lstrip().startswith(b"{\\rtf") else None


def is_pdf(data: bytes) -> bool:
    """Some programs put a few bytes before the mark; a text about PDF has no objects."""
    at = data.find(PDF, 0, 1024)
    return at == 0 or (at > 0 and any(part in data for part in PDF_PARTS))


def tell_text(text: str, suffix: str) -> Kind:
    if suffix in BINARY_NAMES and not text.lstrip().startswith(("<", "{", "[")) and len(text) < HEAD:
        raise FileDamaged(f"The file is named {suffix} and is a short text: it is not whole.")
    head = text.lstrip("\ufeff")[:HEAD]
    if HTML.match(head) and suffix not in PLAIN_NAMES:
        return Kind.HTML
    if XML.match(head):
        return Kind.XML
    if suffix in TEXT_NAMES:
        return TEXT_NAMES[suffix]
    if suffix not in PLAIN_NAMES and is_mailbox(text):
        raise FileUnsupported("The file is a mailbox; send its messages one by one.")
    if suffix not in PLAIN_NAMES and is_mail(head):
        return Kind.EML
    return tell_json(text) if head.lstrip()[:1] in ("{", "[") and suffix not in PLAIN_NAMES else Kind.TEXT


def is_mail(head: str) -> bool:
    if head.startswith("From "):  # an envelope, as a mailbox has it
        head = head.partition("\n")[2]
    lines = head.lstrip().split("\n")
    if not ANY_HEADER.match(lines[0]):
        return False
    block = re.split(r"\r?\n\r?\n", head.lstrip(), maxsplit=1)[0]
    known = {one.lower() for one in HEADER.findall(block)}
    return len(known) >= 2 and bool(known & {"from", "subject", "mime-version", "received", "content-type"})


def is_mailbox(text: str) -> bool:
    return text.startswith("From ") and NEXT_MESSAGE.search(text) is not None


def tell_json(text: str) -> Kind:
    """What begins like JSON and is not may still be a text in brackets."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise FileDamaged("The JSON is nested too deeply.") from None
    except ValueError:
        return Kind.TEXT
    return Kind.IPYNB if isinstance(value, dict) and is_notebook(value) else Kind.JSON


def is_notebook(value: dict[str, object]) -> bool:
    return "nbformat" in value and ("cells" in value or "worksheets" in value)
