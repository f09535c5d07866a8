"""A message: who wrote it, when and what about, and its text. Attachments are named, not read."""

import email
import email.policy
from collections.abc import Callable
from email.errors import MessageError
from email.message import EmailMessage

from ragstore.errors import FileDamaged, FileEncrypted, FileUnsupported
from ragstore.parsing.decoding import decode
from ragstore.parsing.kinds import Kind
from ragstore.parsing.parsed import ParsedFile

HEADERS = ("Subject", "From", "To", "Cc", "Date")
SECRET = ("application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted")


def read_mail(data: bytes, read_html: Callable[[str], str]) -> ParsedFile:
    """`read_html` gives the text of a page."""
    try:
        message = email.message_from_bytes(data, policy=email.policy.default)
        if message.get_content_type() in SECRET:
            raise FileEncrypted("The message is encrypted.")
        headers = {name: str(message[name]) for name in HEADERS if message[name]}
        body, attached = read_parts(message, read_html)
    except RecursionError:
        raise FileDamaged("The message is nested too deeply.") from None
    except (MessageError, LookupError, ValueError, TypeError, AttributeError) as error:  # the parser's own slips
        raise FileDamaged(f"The message cannot be read: {type(error).__name__}.") from None
    top = "\n".join(f"{name}: {' '.join(value.split())}" for name, value in headers.items())
    warnings = [f"Attachments are not read: {', '.join(attached)}."] if attached else []
    properties = {name.lower(): value for name, value in headers.items() if name != "Subject"}
    return ParsedFile(
        f"{top}\n\n{body}".strip(),
        Kind.EML.value,
        title=headers.get("Subject"),
        markdown=False,
        warnings=warnings,
        metadata=properties,
    )


def read_parts(message: EmailMessage, read_html: Callable[[str], str]) -> tuple[str, list[str]]:
    """The text, and what is attached. Of a part that comes as text and as HTML, the text."""
    texts: list[str] = []
    pages: list[str] = []
    attached: list[str] = []
    for part in message.walk():
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        if part.get_filename() or not kind.startswith("text/"):
            attached.append(part.get_filename() or kind)
        elif kind == "text/html":
            pages.append(read_text(part))
        else:
            texts.append(read_text(part))
    written = [one for one in texts if one.strip()]
    if written or not pages:
        return "\n\n".join(written), attached
    return "\n\n".join(read_html(one) for one in pages), attached


def read_text(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset()
    try:
        return data.decode(charset).replace("\r\n", "\n") if charset else read_undeclared(data)
    except (LookupError, UnicodeDecodeError):
        return read_undeclared(data)


def read_undeclared(data: bytes) -> str:
    try:
        return decode(data).text.replace("\r\n", "\n")
    except FileUnsupported:
        return data.decode("utf-8", "replace")
