"""A file's name and bytes to its text. What this process must not do with strangers' files: see `supervisor`."""

from ragstore.errors import FileTooDemanding, FileUnsupported, FileWithoutText
from ragstore.parsing.decoding import Decoded
from ragstore.parsing.extraction import extract, extract_page
from ragstore.parsing.kinds import Kind
from ragstore.parsing.mail import read_mail
from ragstore.parsing.parsed import ParsedFile, clean_file
from ragstore.parsing.rtf import rewrite
from ragstore.parsing.sniffing import sniff
from ragstore.parsing.texts import read_notebook, read_plain, read_xml

LONGEST_TEXT = 16 * 1024 * 1024  # bytes: what a document may hold


def read_file(name: str, data: bytes) -> ParsedFile:
    """Raises one of FILE_ERRORS."""
    kind, decoded = sniff(data, name)
    parsed = clean_file(read_text(kind, data, decoded) if decoded else read_binary(kind, data))
    if not (parsed.content.strip() if decoded else any(one.isalnum() for one in parsed.content)):
        raise FileWithoutText("The file holds no text; pictures of text are not read.")
    if len(parsed.content.encode()) > LONGEST_TEXT:
        raise FileTooDemanding(f"The text of the file is longer than {LONGEST_TEXT} bytes.")
    return parsed


def read_binary(kind: Kind, data: bytes) -> ParsedFile:
    return extract(rewrite(data) if kind is Kind.RTF else data, kind)


def read_text(kind: Kind, data: bytes, decoded: Decoded) -> ParsedFile:
    match kind:
        case Kind.EML:
            return read_mail(data, lambda html: extract_page(html).content)
        case Kind.HTML:
            return extract_page(decoded.text)
        case Kind.IPYNB:
            return read_notebook(decoded)
        case Kind.XML:
            return read_xml(decoded)
        case Kind.TEXT | Kind.MARKDOWN | Kind.JSON | Kind.CSV:
            return read_plain(decoded, kind)
    raise FileUnsupported("Files of this kind are not read.")
